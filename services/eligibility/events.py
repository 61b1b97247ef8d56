"""What eligibility tells the other services: a household scored, its payee sealed for that one event."""

from collections.abc import Iterable
from datetime import datetime

from contracts.eligibility import EligibilityScored
from contracts.sealed import Sealed
from contracts.topics import ELIGIBILITY_SCORED
from contracts.wire import Record, emit, event_id
from services.eligibility.households import Household, Scored
from vault.sealing import Keys


def of_households(households: Iterable[Household], keys: Keys, now: datetime) -> list[Record]:
    """Every scoring of these households as an event, in order."""
    return [_scored(scored, keys, now) for household in households for scored in household.scored]


def _scored(scored: Scored, keys: Keys, now: datetime) -> Record:
    known_as = event_id(ELIGIBILITY_SCORED, scored.household_id, scored.sequence)
    registration = scored.registration
    key_id = registration.payee.key_id
    blob = keys.seal(key_id, scored.payee, event_id=known_as, event_type=ELIGIBILITY_SCORED.name)
    data = EligibilityScored(
        household_id=scored.household_id,
        revision=scored.revision,
        commune=registration.commune,
        area_type=registration.area_type,
        level=registration.level,
        decisions=scored.decisions,
        payee=Sealed(key_id=key_id, blob=blob),
    )
    return emit(
        ELIGIBILITY_SCORED,
        data,
        id=known_as,
        key=scored.household_id,
        sequence=scored.sequence,
        time=now,
        cause=scored.cause,
    )
