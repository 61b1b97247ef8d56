"""What eligibility tells the other services: a household scored, its payee sealed for that one event."""

from collections.abc import Iterable
from datetime import datetime
from json.encoder import encode_basestring as quoted
from typing import NamedTuple

from contracts.eligibility import ProgrammeDecision, SensitiveDecisions
from contracts.sealed import sealed_json
from contracts.topics import ELIGIBILITY_SCORED
from contracts.wire import JSON, Record, dump, emit_bytes
from services.eligibility.households import Household, Scored
from vault.sealing import Keys

SENSITIVE_MULTIPLE_BYTES = 1536
SENSITIVE_TYPE = f"{ELIGIBILITY_SCORED.name}/sensitive"
"""The event type that sensitive decisions are sealed under, so that they can't be taken for the payee."""


class Sealing(NamedTuple):
    """What is sealed of a scoring, by the payee's key."""

    key_id: str
    payee: bytes
    sensitive: bytes | None = None


def of_households(households: Iterable[Household], keys: Keys, now: datetime) -> list[Record]:
    """Every scoring of these households as an event, in order."""
    return [_scored(scored, keys, now) for household in households for scored in household.scored]


def _scored(scored: Scored, keys: Keys, now: datetime) -> Record:
    known_as = scored.event_id
    registration = scored.registration
    key_id = registration.payee.key_id
    blob = keys.seal(key_id, scored.payee, event_id=known_as, event_type=ELIGIBILITY_SCORED.name)
    sensitive = _sealed(scored.made.sensitive, key_id, known_as, keys) if scored.made.sensitive else None
    return emit_bytes(
        ELIGIBILITY_SCORED,
        told(scored, Sealing(key_id, blob, sensitive)),
        JSON,
        id=known_as,
        key=scored.household_id,
        sequence=scored.sequence,
        time=now,
        cause=scored.cause,
    )


def told(scored: Scored, sealing: Sealing) -> bytes:
    """An `EligibilityScored` as the model writes it, at a third of the cost; a test holds them equal."""
    of, key_id = scored.registration, sealing.key_id
    sensitive = f',"sensitive":{sealed_json(key_id, sealing.sensitive)}' if sealing.sensitive else ""
    return (
        f'{{"household_id":{quoted(scored.household_id)},"revision":{scored.revision}'
        f',"commune":{quoted(of.commune)},"area_type":"{of.area_type}","level":"{of.level}","currency":"KHR"'
        f',"decisions":{scored.made.json},"shocks":[{",".join(map(quoted, scored.shocks))}]'
        f',"reports":{scored.reports},"appeals":{scored.appeals},"judged_on":"{scored.judged_on}"'
        f',"catalogue":{quoted(scored.catalogue)},"payee":{sealed_json(key_id, sealing.payee)}{sensitive}}}'
    ).encode()


def _sealed(decisions: tuple[ProgrammeDecision, ...], key_id: str, known_as: str, keys: Keys) -> bytes:
    """Padded, so that its length does not tell an amount from a refusal."""
    plain = dump(SensitiveDecisions(decisions=decisions))
    padded = plain + b" " * (-len(plain) % SENSITIVE_MULTIPLE_BYTES)
    return keys.seal(key_id, padded, event_id=known_as, event_type=SENSITIVE_TYPE)
