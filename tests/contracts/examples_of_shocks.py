"""Examples of what is told of shocks."""

from datetime import date

from contracts.model import Contract
from contracts.shock import ShockDeclared, ShockEnded, ShockKind

SHOCKS: dict[str, Contract] = {
    "shock.declared.v1": ShockDeclared(
        shock="flood-2022-10",
        kind=ShockKind.FLOOD,
        communes=("120101", "150301"),
        first_day=date(2022, 10, 5),
        last_day=date(2023, 2, 28),
        declared_by="officer-1",
    ),
    "shock.ended.v1": ShockEnded(shock="flood-2022-10", on=date(2023, 1, 15), ended_by="officer-1"),
}
