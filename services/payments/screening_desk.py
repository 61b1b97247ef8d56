"""Screening where payees are opened: compared once as they are, and held where somebody must look."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from contracts.eligibility import Outcome
from contracts.household import Payee
from contracts.topics import HOLD_CHANGED
from contracts.wire import Cause, Received, Record, WireError, event_id
from postbox.message import Connection
from services.payments import events, store_holds, store_screening
from services.payments.entitlements import SealedPayee
from services.payments.heard import ScoredHeard
from services.payments.holds import Hold
from services.payments.screening import Hit, Screen
from services.payments.store_screening import Kept
from vault.sealing import KeyDestroyed, KeyMissing, SealBroken

REASON, PLACED_BY = "screening-hit", "screening"
Digest = Callable[[str], str]
Opened = tuple[Payee, Cause]
Open = Callable[[SealedPayee, str], Payee | None]


async def screen(
    listed: Screen, digest: Digest, db: Connection, payees: Mapping[str, Opened], now: datetime
) -> list[Record]:
    """Compare the payees of these households with the list; gives what is to be told of holds.

    Before cycles and households are locked, so that no two transactions wait for each other's holds.
    Whoever was compared with this list under this name is not compared again, and a likeness that a person
    released holds nobody again under this name.
    """
    names = {each: digest(listed.about(payee)) for each, (payee, _) in payees.items()}
    digests = {each: digest(f"{listed.version}/{name}") for each, name in names.items()}
    done = await store_screening.known(db, digests)
    cleared = await store_screening.cleared(db, sorted(payees.keys() - done))
    found: dict[str, tuple[str, Sequence[Hit]]] = {}
    records: list[Record] = []
    for household_id in sorted(payees.keys() - done):
        payee, cause = payees[household_id]
        alike = [
            hit for hit in listed.hits(payee) if (household_id, names[household_id], hit.entry) not in cleared
        ]
        if alike:
            hold_id = event_id(HOLD_CHANGED, household_id, digests[household_id])
            hold = Hold(hold_id, household_id, None, REASON, PLACED_BY, now)
            if await store_holds.place(db, hold):
                records.append(events.of_hold(hold, now, cause))
            found[household_id] = (await store_holds.standing(db, hold), alike)
    await store_screening.keep(db, digests, names, found, version=listed.version, now=now)
    return records


def told(open_payee: Open, messages: Iterable[Received[ScoredHeard]]) -> dict[str, Opened]:
    """Who collects by these decisions, where something is due; what can't be opened parks elsewhere."""
    found: dict[str, Opened] = {}
    for each in messages:
        said = each.data
        if any(decision.outcome is Outcome.ELIGIBLE for decision in said.decisions):
            payee = _opened(open_payee, SealedPayee(said.payee.key_id, said.payee.blob), each.id)
            if payee is not None:
                found[said.household_id] = payee, Cause(each.id, each.correlation_id, each.traceparent)
    return found


def kept(open_payee: Open, waiting: Iterable[Kept]) -> dict[str, Opened]:
    """Who collects, of households whose payee was kept."""
    found: dict[str, Opened] = {}
    for each in waiting:
        payee = _opened(open_payee, each.sealed, each.cause.id)
        if payee is not None:
            found[each.household_id] = payee, each.cause
    return found


def _opened(open_payee: Open, sealed: SealedPayee, under: str) -> Payee | None:
    try:
        return open_payee(sealed, under)
    except (KeyDestroyed, KeyMissing, SealBroken, WireError):
        return None
