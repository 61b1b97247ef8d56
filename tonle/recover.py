"""`tonle recover`: after the broker lost records, refill its log from the outboxes."""

from time import monotonic
from typing import Annotated

import typer

from tonle import terminal
from tonle.stack.topics import SERVICES

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(recover)


def recover(
    since_minutes: Annotated[
        float, typer.Option(help="How far back: a little before the broker failed.", min=0.1, max=1440)
    ] = 60,
    as_json: Json = False,
) -> None:
    """Refill a log that lost records, and let stopped partitions go on.

    Needed when `tonle status` says that a partition is stopped because its log got shorter, and after every
    power loss. Every service publishes again what it published lately, then reads what was cut from there.
    Running it once too often changes nothing: what was done already is recognised.
    """
    since = monotonic() - since_minutes * 60  # the same moment for all, however long each takes
    answers = [{"service": service, **_recover(service, monotonic() - since)} for service in SERVICES]
    terminal.emit(answers, as_json)


def _recover(service: str, since_s: float) -> dict[str, object]:
    with terminal.client(service) as client:
        answer = terminal.checked(client.post("/recover", params={"since_s": since_s})).json()
    rewound: dict[str, int] = answer["rewound"]
    return {"published_again": answer["published_again"], "rewound_partitions": len(rewound)}
