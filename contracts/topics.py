"""The flow on one screen: every topic, what it carries, who says it and who listens."""

from dataclasses import dataclass
from functools import cache

from contracts.appeal import AppealDecided
from contracts.condition import ConditionReported
from contracts.cycle import CycleChanged, EnvelopeChanged
from contracts.eligibility import EligibilityCompleted, EligibilityScored
from contracts.grievance import GrievanceOpened, GrievanceUpdated
from contracts.hold import HoldChanged
from contracts.household import HouseholdExited, HouseholdKey, HouseholdKeys, HouseholdRegistered
from contracts.message import MessageReceived
from contracts.milestone import MilestoneReached
from contracts.model import Contract
from contracts.payment import PaymentInstruction, PaymentIssued, PaymentReport, PaymentUpdated
from contracts.referral import ReferralMade
from contracts.shock import ShockDeclared, ShockEnded
from contracts.sms import SmsSent, SmsUpdated

MINISTRY = "ministry"
"""Whoever serves households that are referred to it: each ministry reads the topic, and its own letters."""


@dataclass(frozen=True)
class Topic:
    """`<noun>.<past-tense verb>.v<major>`; `name` is also the events' `ce_type`.

    `consumers` are those that listen today; what has none is kept for ever all the same, for audit.
    `replaced`: a later version is written instead; what it holds is still read.
    """

    name: str
    contract: type[Contract]
    producer: str
    consumers: tuple[str, ...]
    key: str = "household_id"
    compacted: bool = False
    replaced: bool = False


HOUSEHOLD_REGISTERED = Topic(
    "household.registered.v1", HouseholdRegistered, "registration", ("eligibility", "notifications")
)
HOUSEHOLD_EXITED = Topic("household.exited.v1", HouseholdExited, "registration", ("eligibility", "payments"))
HOUSEHOLD_KEY = Topic(
    "household.key.v1",
    HouseholdKey,
    "registration",
    ("eligibility", "payments", "notifications"),
    key="household_id/key_id",
    compacted=True,
    replaced=True,
)
HOUSEHOLD_KEYS = Topic(
    "household.key.v2",
    HouseholdKeys,
    "registration",
    ("eligibility", "payments", "notifications"),
    compacted=True,
)
CONDITION_REPORTED = Topic("condition.reported.v1", ConditionReported, "registration", ("eligibility",))
APPEAL_DECIDED = Topic("appeal.decided.v1", AppealDecided, "eligibility", ())
MILESTONE_REACHED = Topic("milestone.reached.v1", MilestoneReached, "eligibility", ("notifications",))
SHOCK_DECLARED = Topic("shock.declared.v1", ShockDeclared, "eligibility", (), key="shock")
SHOCK_ENDED = Topic("shock.ended.v1", ShockEnded, "eligibility", (), key="shock")
ELIGIBILITY_SCORED = Topic(
    "eligibility.scored.v1", EligibilityScored, "eligibility", ("payments", "notifications")
)
ELIGIBILITY_COMPLETED = Topic(
    "eligibility.completed.v1",
    EligibilityCompleted,
    "eligibility",
    ("payments",),
    key="cycle_id/partition",
)
CYCLE_CHANGED = Topic("cycle.changed.v1", CycleChanged, "payments", ("eligibility",), key="cycle_id")
ENVELOPE_CHANGED = Topic("envelope.changed.v1", EnvelopeChanged, "payments", (), key="envelope_id")
HOLD_CHANGED = Topic("hold.changed.v1", HoldChanged, "payments", (), key="household_id or hold_id")
PAYMENT_ISSUED = Topic("payment.issued.v1", PaymentIssued, "payments", ("notifications",))
PAYMENT_UPDATED = Topic("payment.updated.v1", PaymentUpdated, "payments", ("notifications",))
SMS_SENT = Topic("sms.sent.v1", SmsSent, "notifications", ())
SMS_UPDATED = Topic("sms.updated.v1", SmsUpdated, "notifications", ())
MESSAGE_RECEIVED = Topic(
    "message.received.v1",
    MessageReceived,
    "notifications",
    ("registration",),
    key="household_id or message_id",
)
REFERRAL_MADE = Topic("referral.made.v1", ReferralMade, "eligibility", (MINISTRY,))
GRIEVANCE_OPENED = Topic(
    "grievance.opened.v1",
    GrievanceOpened,
    "registration",
    ("notifications",),
    key="household_id or grievance_id",
)
GRIEVANCE_UPDATED = Topic(
    "grievance.updated.v1",
    GrievanceUpdated,
    "registration",
    ("notifications",),
    key="household_id or grievance_id",
)

TOPICS = (
    HOUSEHOLD_KEY,
    HOUSEHOLD_KEYS,
    HOUSEHOLD_REGISTERED,
    HOUSEHOLD_EXITED,
    CONDITION_REPORTED,
    APPEAL_DECIDED,
    MILESTONE_REACHED,
    CYCLE_CHANGED,
    ENVELOPE_CHANGED,
    SHOCK_DECLARED,
    SHOCK_ENDED,
    ELIGIBILITY_SCORED,
    ELIGIBILITY_COMPLETED,
    REFERRAL_MADE,
    HOLD_CHANGED,
    PAYMENT_ISSUED,
    PAYMENT_UPDATED,
    SMS_SENT,
    SMS_UPDATED,
    MESSAGE_RECEIVED,
    GRIEVANCE_OPENED,
    GRIEVANCE_UPDATED,
)


@cache
def partner_instruction(partner: str, reader: str = "") -> Topic:
    """The topic one payment partner reads: signed by payments, encrypted to that partner alone.

    For a partner that reads no topic, `reader` (payments) does, and carries on what it says by file or call.
    """
    return Topic(f"partner.{partner}.instruction.v1", PaymentInstruction, "payments", (reader or partner,))


def partner_report(partner: str) -> Topic:
    """The topic one payment partner writes, signed by it, keyed as the instruction was."""
    return Topic(f"partner.{partner}.report.v1", PaymentReport, partner, ("payments",))


def dead_letter(service: str) -> str:
    """Where a service puts what it could not handle: the original bytes, reasons in headers."""
    return f"{service}.dead-letter.v1"
