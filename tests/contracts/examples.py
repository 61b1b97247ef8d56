"""What today's models write: one full and one minimal event per contract.

`python tests/contracts/examples.py` freezes those that have no sample yet; a sample, once there, is never
written again.
"""

import json
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from contracts import wire
from contracts.appeal import AppealDecided, Verdict
from contracts.condition import ConditionReported
from contracts.cycle import ApprovalKind, CycleChanged, CycleState
from contracts.eligibility import EligibilityCompleted, EligibilityScored, Line, Outcome, ProgrammeDecision
from contracts.household import (
    KHMER,
    Account,
    AreaType,
    Channel,
    ExitReason,
    HouseholdExited,
    HouseholdRegistered,
    KeyState,
    Level,
)
from contracts.milestone import MilestoneKind, MilestoneReached
from contracts.model import Contract
from contracts.payment import (
    InstructionKind,
    PaymentInstruction,
    PaymentIssued,
    PaymentReport,
    PaymentState,
    PaymentUpdated,
    PayTo,
    ReportStatus,
)
from contracts.release import (
    INSTRUCTION,
    REPORT,
    SAMPLES,
    SEALED_DECISIONS,
    SEALED_MESSAGE,
    SEALED_PAYEE,
    SEALED_PERSONS,
    SEALED_REPORT,
    SEALED_RULING,
)
from contracts.sealed import Sealed
from contracts.sms import SmsEncoding, SmsSent, SmsStatus, SmsUpdated
from contracts.topics import TOPICS, Topic, partner_instruction, partner_report
from tests.contracts.examples_of_answers import MESSAGE_TEXT, answered
from tests.contracts.examples_of_keys import DESTROYED, keyed
from tests.contracts.examples_of_money import funded, held
from tests.contracts.examples_of_referrals import referred
from tests.contracts.examples_of_shocks import SHOCKS
from tests.contracts.sealed_examples import (
    APPEAL,
    CYCLE,
    HASH,
    PAYEE,
    PERSONS,
    PROGRAMME,
    REPORTED,
    RULING,
    SENSITIVE,
)
from vault.sealing import Keys

M = TypeVar("M", bound=Contract)

HOUSEHOLD = "3f0d5a52-7c1e-5a57-9a55-0f3a4b9c2d11"
DECISION = "0b8f4a3e-6f2c-5d6e-8f11-1c2d3e4f5a6b"
PAYMENT = "5d2c7b1a-1111-5222-8333-944455566677"
SMS = "77777777-8888-5999-8aaa-bbbbccccdddd"
PERSON = "8e8f2b0c-4a51-4c5d-9b7e-2f6f3f0a1b2c"
TIME = datetime(2023, 6, 1, 2, 30, 0, 123456, tzinfo=UTC)
SAMPLE_KEYS = {"person-key-1": bytes(range(32)), "payee-key-1": bytes(range(32, 64))}

TOPIC: dict[str, Topic] = {topic.name: topic for topic in TOPICS} | {
    INSTRUCTION: partner_instruction("wing"),
    REPORT: partner_report("wing"),
}


def required_only(full: M, **changed: object) -> M:
    """The full example without what may be absent."""
    required = {field for field, info in type(full).model_fields.items() if info.is_required()}
    return type(full).model_validate({field: getattr(full, field) for field in required} | changed)


def event_id(name: str, kind: str) -> str:
    return wire.event_id(TOPIC[name], HOUSEHOLD, kind)


def seal(key_id: str, what: bytes, name: str, kind: str) -> Sealed:
    keys = Keys({})
    for known, key in SAMPLE_KEYS.items():
        keys.add(known, key)
    blob = keys.seal(key_id, what, event_id=event_id(name, kind), event_type=TOPIC[name].name)
    return Sealed(key_id=key_id, blob=blob)


def persons(name: str, kind: str) -> Sealed:
    return seal("person-key-1", wire.dump(PERSONS), name, kind)


def payee(name: str, kind: str) -> Sealed:
    return seal("payee-key-1", wire.dump(PAYEE), name, kind)


FULL: dict[str, Contract] = {
    "household.registered.v1": HouseholdRegistered(
        household_id=HOUSEHOLD,
        revision=2,
        replaces=1,
        commune="120101",
        area_type=AreaType.PHNOM_PENH,
        level=Level.POOR_1,
        registered_by="registrar-1",
        channel=Channel.DESK,
        persons=persons("household.registered.v1", "full"),
        payee=payee("household.registered.v1", "full"),
    ),
    "household.exited.v1": HouseholdExited(
        household_id=HOUSEHOLD, revision=3, reason=ExitReason.GRADUATED, exited_by="registrar-1"
    ),
    **keyed(HOUSEHOLD),
    "condition.reported.v1": ConditionReported(
        household_id=HOUSEHOLD,
        number=3,
        reported_by="registrar-1",
        report=seal("person-key-1", wire.dump(REPORTED), "condition.reported.v1", "full"),
    ),
    "appeal.decided.v1": AppealDecided(
        household_id=HOUSEHOLD,
        number=1,
        appeal_id=APPEAL,
        revision=2,
        verdict=Verdict.OVERTURNED,
        prepared_by="officer-1",
        decided_by="officer-2",
        ruling=seal("person-key-1", wire.dump(RULING), "appeal.decided.v1", "full"),
    ),
    "milestone.reached.v1": MilestoneReached(
        household_id=HOUSEHOLD,
        revision=2,
        as_of=date(2024, 12, 1),
        kind=MilestoneKind.CARD_EXPIRING,
        commune="120101",
        due_on=date(2024, 12, 31),
        payee=payee("milestone.reached.v1", "full"),
    ),
    "cycle.changed.v1": CycleChanged(
        cycle_id=CYCLE,
        programme=PROGRAMME,
        programme_hash=HASH,
        purpose="social-transfer",
        period="2023-06",
        reference_date=date(2023, 6, 1),
        state=CycleState.APPROVED,
        cap_household=1_000_000,
        cap_payments=10_000,
        actor="officer-2",
        reason="as budgeted",
        approval=ApprovalKind.PAYROLL,
    ),
    "envelope.changed.v1": funded(CYCLE),
    **SHOCKS,
    "hold.changed.v1": held(HOUSEHOLD),
    "eligibility.scored.v1": EligibilityScored(
        household_id=HOUSEHOLD,
        revision=2,
        commune="120101",
        area_type=AreaType.PHNOM_PENH,
        level=Level.POOR_1,
        currency="KHR",
        decisions=(
            ProgrammeDecision(
                programme=PROGRAMME,
                programme_hash=HASH,
                purpose="social-transfer",
                as_of=date(2023, 6, 1),
                cycle_id=CYCLE,
                period="2023-06",
                outcome=Outcome.ELIGIBLE,
                amount=212_000,
                lines=(
                    Line(component="household", count=1, rate=120_000, amount=120_000),
                    Line(component="member", count=1, rate=52_000, amount=52_000),
                    Line(component="vulnerable_member", count=1, rate=40_000, amount=40_000),
                ),
                reasons=("level-covered",),
                appeal_id=APPEAL,
            ),
        ),
        shocks=("flood-2022-10@1",),
        reports=3,
        appeals=1,
        judged_on=date(2023, 6, 1),
        catalogue=HASH,
        payee=payee("eligibility.scored.v1", "full"),
        sensitive=seal("payee-key-1", b"[]", "eligibility.scored.v1", "full"),
    ),
    "eligibility.completed.v1": EligibilityCompleted(
        cycle_id=CYCLE, opening=2, partition=3, partitions=4, answered_below=175_000, unanswered=1
    ),
    "payment.issued.v1": PaymentIssued(
        payment_id=PAYMENT,
        programme=PROGRAMME,
        period="2023-06",
        household_id=HOUSEHOLD,
        purpose="social-transfer",
        attempt=1,
        cycle_id=CYCLE,
        amount=212_000,
        carried=-16_000,
        currency="KHR",
        partner="wing",
        commune="120101",
        revision=2,
        decision_id=DECISION,
        withdraw_until=date(2023, 7, 1),
        payee=payee("payment.issued.v1", "full"),
    ),
    "payment.updated.v1": PaymentUpdated(
        payment_id=PAYMENT,
        household_id=HOUSEHOLD,
        cycle_id=CYCLE,
        state=PaymentState.CORRECTED,
        amount=212_000,
        currency="KHR",
        partner="wing",
        reason="newer-decision",
        correction=-52_000,
    ),
    "sms.sent.v1": SmsSent(
        sms_id=SMS,
        household_id=HOUSEHOLD,
        payment_id=PAYMENT,
        template="payment-issued",
        language=KHMER,
        encoding=SmsEncoding.UCS_2,
        segments=2,
        gateway="kannel",
    ),
    "sms.updated.v1": SmsUpdated(
        sms_id=SMS,
        household_id=HOUSEHOLD,
        payment_id=PAYMENT,
        status=SmsStatus.UNKNOWN,
        reason="gateway timed out",
    ),
    INSTRUCTION: PaymentInstruction(
        instruction_id="9e1f0c4b-2222-5333-8444-a55566677788",
        kind=InstructionKind.PAY,
        payment_id=PAYMENT,
        partner="wing",
        amount=212_000,
        currency="KHR",
        commune="120101",
        withdraw_until=date(2023, 7, 1),
        pay_to=PayTo(
            name_km="សុខ ដារ៉ា",
            name_latin="Sok Dara",
            phone="+85512345678",
            account=Account(provider="wing", number="00123456"),
        ),
    ),
    REPORT: PaymentReport(
        report_id="wing-r-1",
        payment_id=PAYMENT,
        instruction_id="9e1f0c4b-2222-5333-8444-a55566677788",
        partner="wing",
        status=ReportStatus.SETTLED,
        amount=212_000,
        currency="KHR",
        partner_reference="W-000001",
        reason_code="00",
        occurred_at=TIME,
    ),
    SEALED_PERSONS: PERSONS,
    SEALED_PAYEE: PAYEE,
    SEALED_DECISIONS: SENSITIVE,
    SEALED_REPORT: REPORTED,
    SEALED_RULING: RULING,
    SEALED_MESSAGE: MESSAGE_TEXT,
    **referred(HOUSEHOLD, DECISION),
    **answered(HOUSEHOLD, seal),
}

CHANGED: dict[str, dict[str, object]] = {
    "household.registered.v1": {
        "persons": persons("household.registered.v1", "minimal"),
        "payee": payee("household.registered.v1", "minimal"),
    },
    "household.key.v1": {"state": KeyState.DESTROYED},
    "household.key.v2": {"keys": (DESTROYED,)},
    "condition.reported.v1": {
        "report": seal("person-key-1", wire.dump(REPORTED), "condition.reported.v1", "minimal")
    },
    "appeal.decided.v1": {
        "verdict": Verdict.UPHELD,
        "ruling": seal("person-key-1", wire.dump(RULING), "appeal.decided.v1", "minimal"),
    },
    "milestone.reached.v1": {
        "kind": MilestoneKind.CIRCUMSTANCES_CHANGED,
        "payee": payee("milestone.reached.v1", "minimal"),
    },
    "eligibility.scored.v1": {
        "decisions": (
            ProgrammeDecision(
                programme=PROGRAMME,
                programme_hash=HASH,
                purpose="social-transfer",
                as_of=date(2023, 6, 1),
                outcome=Outcome.REFUSED,
            ),
        ),
        "payee": payee("eligibility.scored.v1", "minimal"),
    },
    "payment.issued.v1": {"payee": payee("payment.issued.v1", "minimal")},
    INSTRUCTION: {"kind": InstructionKind.INQUIRE},
    REPORT: {"status": ReportStatus.NOT_FOUND},
    SEALED_PERSONS: {"members": (required_only(PERSONS.members[0]),)},
}


MINIMAL = {name: required_only(full, **CHANGED.get(name, {})) for name, full in FULL.items()}
EXAMPLES = {"full": FULL, "minimal": MINIMAL}


def key_of(topic: Topic, data: Contract) -> str:
    """The record's key, from the fields that `topic.key` names; partner topics are keyed by household."""
    fields = data.model_dump()
    return "/".join(str(fields.get(field, HOUSEHOLD)) for field in topic.key.split("/"))


def record(name: str, kind: str) -> wire.Record:
    """Today's record of that example. A partner topic's value is the document inside its JOSE token."""
    topic, data = TOPIC[name], EXAMPLES[kind][name]
    cause = wire.Cause(
        id="7d0b3a41-0000-5000-8000-000000000001",
        correlation_id="7d0b3a41-0000-5000-8000-000000000000",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    content_type = wire.JOSE if name in {INSTRUCTION, REPORT} else wire.JSON
    return wire.emit_bytes(
        topic,
        wire.dump(data),
        content_type,
        id=event_id(name, kind),
        key=key_of(topic, data),
        sequence=2 if kind == "full" else 1,
        time=TIME,
        cause=cause,
    )


def sample(name: str, kind: str) -> dict[str, Any]:
    """The example as it is frozen: a sealed document has a value only."""
    if name not in TOPIC:
        return {"value": json.loads(wire.dump(EXAMPLES[kind][name]))}
    made = record(name, kind)
    return {
        "topic": made.topic,
        "key": made.key.decode(),
        "headers": {header: value.decode() for header, value in made.headers},
        "value": json.loads(made.value),
    }


def freeze() -> None:
    for kind, examples in EXAMPLES.items():
        for name in examples:
            path = SAMPLES / f"{name}.{kind}.json"
            if not path.exists():
                path.write_text(json.dumps(sample(name, kind), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    freeze()
