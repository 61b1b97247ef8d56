"""What eligibility tells the other services: a household scored, its payee sealed for that one event."""

from collections.abc import Iterable
from datetime import datetime

from contracts.eligibility import EligibilityScored, ProgrammeDecision, SensitiveDecisions
from contracts.sealed import Sealed
from contracts.topics import ELIGIBILITY_SCORED
from contracts.wire import Record, dump, emit
from services.eligibility.households import Household, Scored
from vault.sealing import Keys

SENSITIVE_MULTIPLE_BYTES = 1536
SENSITIVE_TYPE = f"{ELIGIBILITY_SCORED.name}/sensitive"
"""The event type that sensitive decisions are sealed under, so that they can't be taken for the payee."""


def of_households(households: Iterable[Household], keys: Keys, now: datetime) -> list[Record]:
    """Every scoring of these households as an event, in order."""
    return [_scored(scored, keys, now) for household in households for scored in household.scored]


def _scored(scored: Scored, keys: Keys, now: datetime) -> Record:
    known_as = scored.event_id
    registration = scored.registration
    key_id = registration.payee.key_id
    blob = keys.seal(key_id, scored.payee, event_id=known_as, event_type=ELIGIBILITY_SCORED.name)
    sensitive = _sealed(scored.sensitive, key_id, known_as, keys) if scored.sensitive else None
    data = EligibilityScored(
        household_id=scored.household_id,
        revision=scored.revision,
        commune=registration.commune,
        area_type=registration.area_type,
        level=registration.level,
        decisions=scored.decisions,
        shocks=scored.shocks,
        reports=scored.reports,
        appeals=scored.appeals,
        judged_on=scored.judged_on,
        catalogue=scored.catalogue,
        payee=Sealed(key_id=key_id, blob=blob),
        sensitive=sensitive,
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


def _sealed(decisions: tuple[ProgrammeDecision, ...], key_id: str, known_as: str, keys: Keys) -> Sealed:
    """Padded, so that its length does not tell an amount from a refusal."""
    plain = dump(SensitiveDecisions(decisions=decisions))
    padded = plain + b" " * (-len(plain) % SENSITIVE_MULTIPLE_BYTES)
    return Sealed(key_id=key_id, blob=keys.seal(key_id, padded, event_id=known_as, event_type=SENSITIVE_TYPE))
