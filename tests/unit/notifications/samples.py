"""A household, its payment and what is said of them, as notifications hears it."""

from datetime import UTC, date, datetime, timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts import topics, wire
from contracts.eligibility import Outcome, ProgrammeDecision, SensitiveDecisions
from contracts.household import Channel, Payee
from contracts.payment import PaymentState
from contracts.sealed import Sealed
from contracts.topics import Topic
from contracts.wire import M, Received
from services.notifications import steps
from services.notifications.heard import HouseholdHeard, IssuedHeard, OutcomeHeard, ScoredHeard, UpdatedHeard
from services.notifications.telling import SENSITIVE_TYPE, Policy
from vault.sealing import Keys

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PHONE, OTHER_PHONE = "+85512345678", "+85598765432"
# Half past eleven at night in Phnom Penh.
AT = datetime(2023, 6, 1, 16, 30, tzinfo=UTC)
ALL = Policy(frozenset(steps.STEPS), from_files=False, settling=timedelta(minutes=10))


def keys(*key_ids: str, destroyed: tuple[str, ...] = ()) -> Keys:
    found = Keys({}, destroyed)
    for key_id in key_ids:
        found.add(key_id, AESGCM.generate_key(256))
    return found


def payee(**changes: object) -> bytes:
    usual: dict[str, object] = {"person_id": "p-1", "name_km": "សុខ", "name_latin": "Sok", "phone": PHONE}
    return Payee.model_validate({**usual, **changes}).model_dump_json().encode()


def received(topic: Topic, data: M, sequence: int = 1, key: str = "h-1") -> Received[M]:
    return Received(data, f"{topic.name}-{sequence}", topic.name, key, AT, sequence, "request", TRACE)


def registered(
    with_keys: Keys, to: bytes, revision: int = 1, channel: Channel | None = Channel.DESK
) -> Received[HouseholdHeard]:
    topic = topics.HOUSEHOLD_REGISTERED
    blob = with_keys.seal("k-1", to, event_id=f"{topic.name}-{revision}", event_type=topic.name)
    sealed = Sealed(key_id="k-1", blob=blob)
    data = HouseholdHeard(
        household_id="h-1", revision=revision, commune="010203", payee=sealed, channel=channel
    )
    return received(topic, data, revision)


def scored(
    sequence: int, *outcomes: str, hidden: str | None = None, with_keys: Keys | None = None
) -> Received[ScoredHeard]:
    topic, sensitive = topics.ELIGIBILITY_SCORED, None
    if hidden is not None and with_keys is not None:
        made = ProgrammeDecision(
            programme="p", programme_hash="h", purpose="x", as_of=date(2023, 6, 1), outcome=Outcome(hidden)
        )
        plain = wire.dump(SensitiveDecisions(decisions=(made,)))
        event_id = f"{topic.name}-{sequence}"
        blob = with_keys.seal("k-1", plain, event_id=event_id, event_type=SENSITIVE_TYPE)
        sensitive = Sealed(key_id="k-1", blob=blob)
    decisions = tuple(OutcomeHeard(outcome=Outcome(each)) for each in outcomes)
    return received(
        topic, ScoredHeard(household_id="h-1", decisions=decisions, sensitive=sensitive), sequence
    )


def issued(payment_id: str = "payment-1") -> Received[IssuedHeard]:
    data = IssuedHeard(
        payment_id=payment_id,
        programme="covid-19-cash-transfer",
        period="2023-06",
        household_id="h-1",
        amount=176_000,
        partner="wing",
        withdraw_until=date(2023, 7, 1),
    )
    return received(topics.PAYMENT_ISSUED, data)


def updated(state: str, sequence: int, payment_id: str = "payment-1") -> Received[UpdatedHeard]:
    data = UpdatedHeard(payment_id=payment_id, household_id="h-1", state=PaymentState(state))
    return received(topics.PAYMENT_UPDATED, data, sequence)
