"""`tonle protection`: requests for help against violence, for the protection role alone."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Annotated

import typer
from nacl.encoding import HexEncoder
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from tonle import terminal

ACTIONS = ["protection.read"]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    protection = terminal.group(app, "protection", "Requests for help against violence: who may read them.")
    protection.command("key")(make_key)
    protection.command("officer")(add_officer)
    protection.command("list")(list_requests)
    protection.command("readings")(readings)


def make_key(
    file: Annotated[Path, typer.Argument(help="Where the private half goes; nobody else may have it.")],
) -> None:
    """Make the protection role's key, on the role's own machine.

    The private half stays in the file. The public half beside it, `FILE.public`, goes to who runs the system,
    as `TONLE_PROTECTION_PUBLIC_KEY_FILE` of notifications. Without the private half no request can be read.
    """
    if file.exists():
        terminal.fail(f"{file} is there already.", "Name another file: a lost key can't be made again.")
    made = PrivateKey.generate()
    file.touch(mode=0o600)
    file.write_bytes(made.encode(HexEncoder))
    public = file.with_name(f"{file.name}.public")
    public.write_bytes(made.public_key.encode(HexEncoder))
    terminal.emit({"private": str(file), "public": str(public)}, as_json=False)


def add_officer(
    name: Annotated[str, typer.Argument(help="Who it is; shown as the one who read.")],
    as_json: AsJson = False,
) -> None:
    """Let somebody of the protection role in. The token is shown once: they set it as TONLE_TOKEN."""
    with terminal.client("notifications") as http:
        answer = http.post("/callers", json={"name": name, "actions": ACTIONS, "area": ""})
    terminal.emit(terminal.checked(answer).json(), as_json)


def list_requests(
    key: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The private half of the key.")],
    as_json: AsJson = False,
) -> None:
    """Show the requests for help; they are decrypted here, and that you read them is written down."""
    with terminal.client("notifications") as http:
        found = terminal.checked(http.get("/protection/requests")).json()
    box = SealedBox(PrivateKey(key.read_bytes().strip(), HexEncoder))
    try:
        requests = [json.loads(box.decrypt(b64decode(each["sealed"]))) for each in found]
    except CryptoError:
        terminal.fail(
            "The key does not open a request.", "Use the private half of the key they were sealed to."
        )
    terminal.emit(sorted(requests, key=lambda each: str(each["received_at"]), reverse=True), as_json)


def readings(as_json: AsJson = False) -> None:
    """Show who read requests for help, how many, and when."""
    with terminal.client("notifications") as http:
        terminal.emit(terminal.checked(http.get("/protection/readings")).json(), as_json)
