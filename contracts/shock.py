"""A shock to whole communes: declared with its days, and perhaps ended before them."""

from datetime import date
from typing import Annotated

from pydantic import Field

from contracts.household import CommuneCode
from contracts.model import UNRECOGNISED as _UNRECOGNISED
from contracts.model import Contract, OpenEnum

ShockName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]


class ShockKind(OpenEnum):
    FLOOD = "flood"
    INFLATION = "inflation"
    LOCKDOWN = "lockdown"
    UNRECOGNISED = _UNRECOGNISED


class ShockDeclared(Contract):
    """A shock that holds in these communes from `first_day` to `last_day`, both included.

    Without `last_day` it holds until it is ended. A name is declared once (`ce_sequence` 1) and never again
    with other content. `declared_by` comes from a token.
    """

    shock: ShockName
    kind: ShockKind
    communes: Annotated[tuple[CommuneCode, ...], Field(min_length=1, max_length=2000)]
    first_day: date
    last_day: date | None = None
    declared_by: str


class ShockEnded(Contract):
    """A shock holds no more from the day `on`; days before it stay as they were.

    It may be ended again on an earlier day, never on a later one: `ce_sequence` counts on from 2.
    """

    shock: ShockName
    on: date
    ended_by: str
