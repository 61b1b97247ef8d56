"""`tonle partners`: how payment partners are talked to, their files, and rows that could not be booked."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import httpx
import typer

from tonle import terminal

PART_BYTES = 1024 * 1024
AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Partner = Annotated[str, typer.Argument(help="Its name, from `tonle partners list`.")]
Only = Annotated[str | None, typer.Option("--partner", help="Of this partner alone.")]
Most = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]
_FILE = (
    "partner",
    "message",
    "state",
    "rows_total",
    "rows_booked",
    "rows_known",
    "rows_parked",
    "loaded_by",
    "reason",
)
_ROW = ("partner", "position", "payment_id", "status", "amount", "why")
_REFUSED = ("partner", "action", "why", "times", "first_at", "last_at", "digest")
_OUT = ("message_id", "kind", "payments", "riel", "state", "file")


def mount(app: typer.Typer) -> None:
    """Add the commands about partners."""
    partners = terminal.group(app, "partners", "Payment partners: how they are talked to, and their files.")
    partners.command("list")(list_partners)
    partners.command("load")(load)
    partners.command("files")(files)
    partners.command("out")(out)
    partners.command("rows")(rows)
    partners.command("refused")(refused)
    partners.command("pause")(pause)
    partners.command("resume")(resume)
    partners.command("retry")(retry)
    partners.command("close")(close)


def list_partners(as_json: AsJson = False) -> None:
    """List partners: by Kafka, files or HTTP, what waits to be told, and who is paused and why."""
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.get("/partners")).json(), as_json)


def load(
    partner: Partner,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="pain.002, camt.053 or camt.054.")
    ],
    as_json: AsJson = False,
) -> None:
    """Load a bank's file: checked whole, then booked; loaded a second time it changes nothing.

    Rows that can't be true are set aside with their reason: `tonle partners rows`. It needs a token that may
    load in TONLE_TOKEN: `tonle officers add NAME --may load`.
    """
    size = file.stat().st_size
    with terminal.client("payments", timeout_s=600.0) as http:
        with terminal.progress("Sending", size) as advance:
            path = f"/partners/{quote(partner)}/files"
            answer = terminal.checked(http.post(path, content=_parts(file, advance)))
        found = _followed(http, answer.json())
    if found["state"] == "refused":
        terminal.fail(f"The file is refused: {found['reason']}.", f"{found['remedy']} Nothing was booked.")
    known = " (its bytes were loaded before: nothing changed)" if answer.status_code == 200 else ""
    terminal.emit(found if as_json else {name: found[name] for name in _FILE}, as_json)
    if not as_json:
        typer.echo(f"sha256 {found['sha256']}{known}")
        if found["rows_parked"]:
            typer.echo(f"Rows that were set aside: tonle partners rows --partner {partner}")


def files(partner: Only = None, most: Most = 50, as_json: AsJson = False) -> None:
    """List the files that partners sent, the newest first, and what became of their rows."""
    with terminal.client("payments") as http:
        asked = _asked(partner, most)
        found = terminal.checked(http.get("/partners/files", params=asked)).json()
    terminal.emit(found if as_json else [{name: each[name] for name in _FILE} for each in found], as_json)


def out(
    partner: Partner,
    list_only: Annotated[bool, typer.Option("--list", help="Only list files, write none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write what waits for a bank into files now, and list the latest with where they lie.

    `claimed` is being written; `told` lies there, ready to be sent to the bank. The same payment is in one
    file only, whatever is killed meanwhile.
    """
    path = f"/partners/{quote(partner)}/out"
    with terminal.client("payments") as http:
        found = terminal.checked(http.get(path) if list_only else http.post(path)).json()
        while not list_only and any(each["state"] == "claimed" for each in found):
            time.sleep(0.2)
            found = terminal.checked(http.get(path)).json()
    terminal.emit(found if as_json else [{name: each[name] for name in _OUT} for each in found], as_json)


def pause(
    partner: Partner, reason: Annotated[str, typer.Option(help="Why; shown by `tonle partners list`.")]
) -> None:
    """Tell a partner nothing more: what it would pay waits, and other partners proceed.

    Cash goes to others that serve the place meanwhile. What a partner on Kafka was told before stays on its
    topic, and what is in a bank's file in the file.
    """
    with terminal.client("payments") as http:
        done = http.post(f"/partners/{quote(partner)}/pause", json={"reason": reason})
        terminal.emit(terminal.checked(done).json(), as_json=False)


def resume(partner: Partner) -> None:
    """Tell a partner again what waits for it. One that was only down, or silent, is resumed by itself."""
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.post(f"/partners/{quote(partner)}/resume")).json(), as_json=False)


def rows(partner: Only = None, most: Most = 100, as_json: AsJson = False) -> None:
    """List rows of partners' files that could not be booked, and why."""
    with terminal.client("payments") as http:
        asked = _asked(partner, most)
        found = terminal.checked(http.get("/partners/rows", params=asked)).json()
    terminal.emit(found if as_json else [{name: each[name] for name in _ROW} for each in found], as_json)


def refused(partner: Only = None, most: Most = 50, as_json: AsJson = False) -> None:
    """List calls back that were refused whole (forged, expired, no message at all); with --json as they came.

    Nothing of them was booked. Who calls may be anybody: ask the partner on another way whether it did. It
    needs a token that may load in TONLE_TOKEN.
    """
    with terminal.client("payments") as http:
        asked = _asked(partner, most)
        found = terminal.checked(http.get("/partners/refused", params=asked)).json()
    terminal.emit(found if as_json else [{name: each[name] for name in _REFUSED} for each in found], as_json)


def retry(partner: Only = None, as_json: AsJson = False) -> None:
    """Try rows that were set aside again; those whose reason is gone are booked.

    Rows that are wrong in themselves (a currency, an id named twice) are not tried: ask the partner for a
    corrected file, and `tonle partners close` them.
    """
    tried = booked = 0
    asked = _asked(partner, 500)
    with terminal.client("payments", timeout_s=600.0) as http:
        while True:
            done = terminal.checked(http.post("/partners/rows/retry", params=asked)).json()
            tried, booked = tried + done["tried"], booked + done["booked"]
            if done["next"] is None:
                break
            names = ("after_partner", "after_file", "after_position")
            asked.update(zip(names, done["next"], strict=True))
    terminal.emit({"tried": tried, "booked": booked, "left": tried - booked}, as_json)


def close(
    partner: Partner,
    sha256: Annotated[str, typer.Argument(metavar="FILE", help="The file's sha256, from `rows --json`.")],
    position: Annotated[int, typer.Argument(help="The row's place in the file.")],
    reason: Annotated[str, typer.Option(help="How it was dealt with; kept with the row.")],
) -> None:
    """Close a row that was set aside once you have dealt with it; nothing is booked by it."""
    body = {"partner": partner, "file": sha256, "position": position, "reason": reason}
    with terminal.client("payments") as http:
        terminal.emit(terminal.checked(http.post("/partners/rows/close", json=body)).json(), as_json=False)


def _asked(partner: str | None, most: int) -> dict[str, str | int]:
    return {"most": most, **({"partner": partner} if partner else {})}


def _followed(http: httpx.Client, found: dict[str, object]) -> dict[str, object]:
    """What became of a file, once nothing is left to do."""
    path = f"/partners/{quote(str(found['partner']))}/files/{found['sha256']}"
    with terminal.progress("Checking and booking") as advance:
        while found["state"] == "received":
            time.sleep(0.2)
            found = terminal.checked(http.get(path)).json()
            total = found["rows_total"]
            advance(int(str(found["rows_done"])), f"of {total}" if total else "checking the whole file")
    return found


def _parts(file: Path, advance: terminal.Advance) -> Iterator[bytes]:
    sent = 0
    with file.open("rb") as opened:
        while part := opened.read(PART_BYTES):
            yield part
            sent += len(part)
            advance(sent)
