"""`tonle sms`: what households would be told, and how many were."""

from typing import Annotated

import typer

from tonle import terminal

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def mount(app: typer.Typer) -> None:
    """Add the group."""
    commands = terminal.group(app, "sms", "What households are told by SMS: the words, their cost, how many.")
    commands.command()(templates)
    commands.command()(preview)
    commands.command()(stats)


def templates(
    language: Annotated[str, typer.Option(help="Only this language: km, en, …")] = "",
    as_json: Json = False,
) -> None:
    """List the templates, each at its longest: segments it takes and may take, and what it costs.

    A template with a programme is said in place of the general one, to who wants SMS in full. Prices are a
    setting of notifications (TONLE_SMS_PRICES_RIEL), by operator.
    """
    with terminal.client("notifications") as client:
        found = terminal.checked(client.get("/words")).json()
    found = [each for each in found if language in ("", each["language"])]
    shown = ("template", "programme", "language", "form", "encoding", "units", "segments", "segments_max")
    rows = [{name: each[name] for name in (*shown, "cost_riel")} for each in found]
    terminal.emit(found if as_json else rows, as_json)


def preview(
    template: Annotated[str, typer.Argument(help="Its name, from `tonle sms templates`.")],
    *,
    language: Annotated[str, typer.Option(help="The reader's language.")] = "km",
    full: Annotated[
        bool, typer.Option("--full", help="As for who wants it in full; without it, the neutral words.")
    ] = False,
    programme: Annotated[str, typer.Option(help="The programme's id.")] = "covid-19-cash-transfer",
    partner: Annotated[str, typer.Option(help="The payment partner's id.")] = "wing",
    period: Annotated[str, typer.Option(help="The month paid for, YYYY-MM.")] = "2023-06",
    amount: Annotated[int, typer.Option(min=0, help="Riel.")] = 176_000,
    until: Annotated[str, typer.Option(help="The last day, YYYY-MM-DD.")] = "2023-07-01",
    account: Annotated[str, typer.Option(help="An account's number; its last digits are said.")] = "",
    as_json: Json = False,
) -> None:
    """Show one SMS as a household would read it, with its segments and cost.

    A segment carries 160 characters of the GSM alphabet (153 where there are more) or 70 of any other (67).
    """
    asked: dict[str, str | int | bool] = {
        "language": language,
        "full": full,
        "programme": programme,
        "partner": partner,
        "period": period,
        "amount": amount,
        "until": until,
        "account": account,
    }
    with terminal.client("notifications") as client:
        found = terminal.checked(client.get(f"/words/{template}", params=asked)).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    typer.echo(found.pop("text"))
    by_operator = found.pop("cost_riel_by_operator")
    costs = ", ".join(f"{operator} {riel}" for operator, riel in by_operator.items())
    price = costs or "not known: set TONLE_SMS_PRICES_RIEL"
    size = f"segments: {found['segments']}, {found['units']} units of {found['encoding']}"
    typer.echo(f"\n{size}; cost in riel: {price}")


def stats(as_json: Json = False) -> None:
    """Count SMS by operator and province: what became of them, and their cost.

    The cost is that of the segments handed over, at the prices set now. No person is in it.
    """
    with terminal.client("notifications") as client:
        found = terminal.checked(client.get("/stats")).json()
    if as_json:
        terminal.emit(found, as_json)
        return
    terminal.emit(found["sms"] or ["nothing"], as_json)
    typer.echo(f"{found['numbers_opted_out']} numbers ask for silence")
