"""`tonle inbox` and `tonle handset`: what households' phones got, and write, at the simulated gateway."""

from typing import Annotated

import typer

from tonle import terminal


def mount(app: typer.Typer) -> None:
    """Add the commands of notifications."""
    app.command("inbox")(inbox)
    app.command("handset")(handset)


def inbox(
    phone: Annotated[
        str | None, typer.Option(help="Only what this number received, as +855… or with a leading 0.")
    ] = None,
    household: Annotated[
        str | None, typer.Option(help="Only what this household was told, by its id.")
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many messages, the newest first.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Messages as JSON.")] = False,
) -> None:
    """Show the SMS that the simulated gateway received, newest first.

    The gateway stands for the households' phones, so it alone knows numbers and texts. A real gateway has no
    inbox to read; what was sent, and what is unknown, is told by `tonle household show ID`.
    """
    query: dict[str, str | int | list[str]] = {"last": last}
    if phone is not None:
        query["to"] = _international(phone)
    if household is not None:
        with terminal.client("notifications") as notifications:
            told = terminal.checked(notifications.get("/sms", params={"household": household})).json()
        query["sms_id"] = [each["sms_id"] for each in told] or ["none"]
    with terminal.client("gateway") as gateway:
        found = terminal.checked(gateway.get("/inbox", params=query)).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    terminal.emit(
        [{name: each[name] for name in ("received_at", "to", "from", "text")} for each in found], False
    )


def handset(
    phone: Annotated[str, typer.Argument(help="The number that writes, as +855… or with a leading 0.")],
    text: Annotated[str, typer.Argument(help="What it says, such as STOP, HELP or a complaint.")],
    to: Annotated[str, typer.Option(help="The short number it is written to.")] = "1234",
    as_json: Annotated[bool, typer.Option("--json", help="Answer with JSON.")] = False,
) -> None:
    """Write an SMS to us, as a household would from its phone; the answer comes to `tonle inbox`.

    For instance: `tonle handset 012345678 "COMPLAINT we were promised money and got none"`. The simulated
    gateway takes it in and tells notifications as Kannel would.
    """
    query = {"from": _international(phone), "to": to, "text": text}
    with terminal.client("gateway") as gateway:
        told = terminal.checked(gateway.get("/handset", params=query)).json()["told"]
    if not told:
        terminal.fail(
            "Notifications did not take the SMS.", "Try again once `tonle status` shows it running."
        )
    terminal.emit({"from": query["from"], "to": to, "taken": True}, as_json)


def _international(phone: str) -> str:
    digits = phone.replace(" ", "").replace("-", "")
    return f"+855{digits[1:]}" if digits.startswith("0") else digits
