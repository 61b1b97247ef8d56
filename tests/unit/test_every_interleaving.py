"""The decisions of all services, over every interleaving, repetition and regrouping of one set of events.

What one service says is what the next hears; dictionaries of the test hold what the databases hold.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from contracts import topics, wire
from contracts.cycle import CycleState
from contracts.eligibility import EligibilityScored
from contracts.household import Level
from contracts.model import Contract
from contracts.payment import PaymentIssued, PaymentReport, PaymentUpdated, ReportStatus
from contracts.wire import Received, Record
from postbox.message import Batch
from services.eligibility import cycles, households
from services.eligibility import events as scoring_events
from services.eligibility.cycles import Caseload
from services.eligibility.cycles import Cycle as KnownCycle
from services.eligibility.households import Household as Scored
from services.eligibility.households import Standing
from services.notifications import steps, telling
from services.notifications.telling import Payments, Policy
from services.payments import entitlements, handlers, ledger, states
from services.payments.budget import Budget
from services.payments.cycles import Cycle, Terms
from services.payments.entitlements import Desk, Household, Issued
from services.payments.events import Voice
from services.payments.ledger import Kind, Transfer
from services.payments.partners.kafka import KafkaPartner
from services.payments.states import LIVE, Account
from tests.unit.eligibility import samples
from tests.unit.eligibility.samples import (
    ATTENDED,
    CYCLE,
    JUNE,
    PROGRAMME,
    Event,
    Sealer,
    cycle_changed,
    exited,
    received,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = Terms(PROGRAMME.id, PROGRAMME.hash, "social-transfer", "2023-06", JUNE, 400_000, 1000)
SUBMITTED = Cycle(TERMS, CycleState.SUBMITTED, 2, ("Sokha",), proposed=1_000_000_000)
APPROVED = replace(SUBMITTED, state=CycleState.APPROVED, proposed=None, funded=1_000_000_000)
REPORTED = (ReportStatus.ACCEPTED, ReportStatus.SETTLED)
FAILED = (ReportStatus.ACCEPTED, ReportStatus.FAILED)
POLICY = Policy(frozenset(steps.STEPS), from_files=False, settling=timedelta(minutes=10))
Heard = (
    Received[EligibilityScored]
    | Received[PaymentIssued]
    | Received[PaymentUpdated]
    | Received[PaymentReport]
    | Event
)


@dataclass
class Inputs:
    """One set of events, each topic's in order; `failing`: households whose payments fail."""

    sealer: Sealer
    topics: Mapping[str, Sequence[Heard]]
    failing: frozenset[str]


def inputs(random: Random, *, troubled: bool) -> Inputs:
    """Some households whose levels change, and one cycle; where troubled, exits and failed payments."""
    sealer = Sealer()
    registered, left = list[Heard](), list[Heard]()
    names = [f"h-{number}" for number in range(random.randint(2, 3))]
    for name in names:
        for revision in range(1, random.randint(1, 4) + 1):
            level = random.choice([Level.POOR_1, Level.POOR_2, Level.NONE])
            registered.append(sealer.registered(name, revision, minute=len(registered), level=level))
        if troubled and random.random() < 0.3:
            left.append(exited(name, random.randint(1, revision)))
    failing = frozenset(name for name in names if troubled and random.random() < 0.3)
    changed: list[Heard] = [cycle_changed(CycleState.OPENED), cycle_changed(CycleState.APPROVED, 2)]
    told: list[Heard] = [sealer.reported(ATTENDED, 1, name) for name in names]
    given = {"cycle": changed, "registered": registered, "conditions": told, "exited": left}
    return Inputs(sealer, given, failing)


@dataclass
class Services:
    """What the three services keep, and the topics between them."""

    given: Inputs
    logs: dict[str, list[Heard]] = field(default_factory=dict)
    scored: dict[str, Scored] = field(default_factory=dict)
    known: dict[str, KnownCycle] = field(default_factory=dict)
    caseloads: list[Caseload] = field(default_factory=list)
    cycle: Cycle = SUBMITTED
    entitled: dict[str, Household] = field(default_factory=dict)
    reports: dict[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    told: dict[str, Payments] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.logs = {name: [*events] for name, events in self.given.topics.items()}
        self.logs |= {name: [] for name in ("scored", "issued", "reports", "updated")}
        self.logs["exited too"] = self.logs["exited"]

    def handle(self, topic: str, events: Sequence[Heard]) -> None:
        """One batch of one topic, by the service that listens."""
        batch: Batch[Heard] = Batch(list(events), NOW, holds=True)
        _HANDLERS[topic](self, batch)
        assert batch.parked == []

    def approve(self) -> None:
        """A second officer approves the cycle in payments."""
        self.cycle = replace(self.cycle, state=CycleState.APPROVED, funded=APPROVED.funded)

    def work(self) -> bool:
        """What jobs do beside the stream: a caseload, and what waits for approval; whether there is more."""
        if self.caseloads:
            cause, at = self.caseloads.pop(0).cause_id, self._office()
            for _, each in sorted(self.scored.items()):
                again = households.score_again(at, each, each.kept, cause) if each.kept else None
                self._keep_scored([again] if again else [])
        if self.cycle.state is CycleState.APPROVED:
            desk = self._desk()
            tried = [entitlements.retry(desk, each, CYCLE, held=False) for each in self.entitled.values()]
            self._keep_entitled(desk, tried)
        return bool(self.caseloads)

    def open_cycle(self, batch: Batch[Heard]) -> None:
        before = dict(self.known)
        for cycle in batch.fold(before, cycles.take):  # type: ignore[arg-type]
            caseload = cycles.caseload(before.get(cycle.cycle_id), cycle)
            self.known[cycle.cycle_id] = cycle
            self.caseloads += [caseload] if caseload else []

    def register(self, batch: Batch[Heard]) -> None:
        self._keep_scored(batch.fold(self.scored, partial(households.register, self._office())))

    def hear(self, batch: Batch[Heard]) -> None:
        self._keep_scored(batch.fold(self.scored, partial(households.report, self._office())))

    def leave(self, batch: Batch[Heard]) -> None:
        self._keep_scored(batch.fold(self.scored, partial(households.leave, samples.MINISTRIES)))

    def score(self, batch: Batch[Heard]) -> None:
        at = self._desk()
        self._keep_entitled(at, batch.fold(self.entitled, partial(entitlements.score, at)))

    def void(self, batch: Batch[Heard]) -> None:
        self._keep_entitled(self._desk(), batch.fold(self.entitled, entitlements.leave))  # type: ignore[arg-type]

    def report(self, batch: Batch[Heard]) -> None:
        accounts = {name: self._account(name) for name in batch.keys if name in self.entitled}
        for account in batch.fold(accounts, states.book):  # type: ignore[arg-type]
            name = account.household_id
            payments = {each.key: each for each in account.payments.values()}
            self.entitled[name] = self.entitled[name]._replace(payments=payments, sequence=account.sequence)
            self.reports[name] = account.reports
            self.transfers += [each.transfer for each in account.updates if each.transfer]
            self._emit("updated", PaymentUpdated, voice().of_accounts([account]))

    def know(self, batch: Batch[Heard]) -> None:
        self._keep_told(batch.fold(self.told, telling.issue))  # type: ignore[arg-type]

    def tell(self, batch: Batch[Heard]) -> None:
        self._keep_told(batch.fold(self.told, partial(telling.update, POLICY)))

    def _keep_told(self, changed: Sequence[Payments]) -> None:
        for each in changed:
            new = {one.sms_id: one for one in reversed(each.new)}  # the first of an id stays
            self.told[each.household_id] = each._replace(new=tuple(new.values()), changed=frozenset())

    def _office(self) -> households.Desk:
        return samples.desk(self.given.sealer, self.known.values())

    def _keep_scored(self, changed: Sequence[Scored]) -> None:
        self._emit(
            "scored", EligibilityScored, scoring_events.of_households(changed, self.given.sealer.keys, NOW)
        )
        for each in changed:
            self.scored[each.household_id] = each._replace(is_new=False, arrived=None, heard=(), scored=())

    def _desk(self) -> Desk:
        budgets = {CYCLE: Budget(self.cycle)} if self.cycle.state is CycleState.APPROVED else {}
        opener = handlers.opener(self.given.sealer.keys)
        rest = (lambda *_: "wing", 20, lambda *_: False, lambda *_: "", lambda _: b"the same", True)
        return Desk(budgets, opener, *rest)

    def _keep_entitled(self, at: Desk, changed: Sequence[Household]) -> None:
        for budget in at.budgets.values():
            self.cycle = replace(self.cycle, committed=self.cycle.committed + budget.committed)
        for each in changed:
            issued = [change for change in each.changes if isinstance(change, Issued)]
            self.transfers += [ledger.issued(one.payment, one.payment.fund) for one in issued]
            for one in issued:
                self.logs["reports"] += self._reports(one)
            self.entitled[each.household_id] = each._replace(is_new=False, changes=())
        records = voice().of_households(changed, self.given.sealer.keys)
        self._emit(
            "issued", PaymentIssued, [each for each in records if each.topic == topics.PAYMENT_ISSUED.name]
        )
        corrected = [each for each in records if each.topic == topics.PAYMENT_UPDATED.name]
        self._emit("updated", PaymentUpdated, corrected)

    def _account(self, name: str) -> Account:
        household = self.entitled[name]
        payments = {each.payment_id: each for each in household.payments.values()}
        return Account(name, household.sequence, payments, self.reports.get(name, {}))

    def _reports(self, issued: Issued) -> list[Heard]:
        """What the partner will say of a payment."""
        payment, topic = issued.payment, topics.partner_report("wing")
        said: list[Heard] = []
        for status in FAILED if payment.household_id in self.given.failing else REPORTED:
            known_as = wire.event_id(topic, payment.payment_id, status)
            data = PaymentReport(
                report_id=known_as,
                payment_id=payment.payment_id,
                partner="wing",
                status=status,
                amount=payment.amount,
                partner_reference="W-1",
                occurred_at=NOW,
            )
            said.append(received(topic, data, known_as, payment.household_id, 1, minute=0))
        return said

    def _emit(self, log: str, contract: type[Contract], records: Sequence[Record]) -> None:
        self.logs[log] += [
            wire.decode(contract, each.topic, each.key, each.value, each.headers)  # type: ignore[misc]
            for each in records
        ]


_HANDLERS: Mapping[str, Callable[[Services, Batch[Heard]], None]] = {
    "cycle": Services.open_cycle,
    "registered": Services.register,
    "conditions": Services.hear,
    "exited": Services.leave,
    "scored": Services.score,
    "exited too": Services.void,
    "reports": Services.report,
    "issued": Services.know,
    "updated": Services.tell,
}


@cache
def voice() -> Voice:
    signing, wing = (OKPKey.generate_key(curve, private=True) for curve in ("Ed25519", "X25519"))
    partner = KafkaPartner("wing", sign_with=signing, encrypt_to=wing, verify_with=[signing])
    return Voice({"wing": partner.mailing()}, NOW, timedelta(days=30))


def in_order(given: Inputs) -> Services:
    """Each topic whole and once, from the first service to the last, one event at a time."""
    services = Services(given, cycle=APPROVED)
    for topic in _HANDLERS:
        for event in services.logs[topic]:
            services.handle(topic, [event])
        services.work()
    return services


def at_random(given: Inputs, random: Random, *, cycle_first: bool) -> Services:
    """Batches of any size from any topic, what came before mixed in; jobs and the approval in between."""
    services = Services(given)
    done = dict.fromkeys(_HANDLERS, 0)
    if cycle_first:
        services.handle("cycle", services.logs["cycle"])
        services.approve()
        done["cycle"] = len(services.logs["cycle"])
    while undone(services, done):
        topic = random.choice([*_HANDLERS])
        log = services.logs[topic]
        again = random.sample(log[: done[topic]], k=random.randint(0, min(3, done[topic])))
        new = log[done[topic] : done[topic] + random.randint(0, 4)]
        done[topic] += len(new)
        services.handle(topic, [*again, *new])
        if random.random() < 0.1:
            services.approve()
        if random.random() < 0.3:
            services.work()
    services.approve()
    while services.work() or undone(services, done):
        for topic in undone(services, done):
            new = services.logs[topic][done[topic] :]
            done[topic] += len(new)
            services.handle(topic, new)
    return services


def undone(services: Services, done: Mapping[str, int]) -> list[str]:
    return [name for name, log in services.logs.items() if done[name] < len(log)]


def digest(services: Services) -> dict[str, object]:
    """What holds of each household, however it came to be; of one that left, only that it did."""
    found: dict[str, object] = {}
    for name, scored in services.scored.items():
        payments = services.entitled[name].payments.values() if name in services.entitled else ()
        promised = sum(each.entitled for each in payments if each.state in LIVE)
        if scored.has_left:
            found[name] = "left"
        elif scored.standing is Standing.REFUSED:
            found[name] = (scored.revision, scored.basis, promised)
        else:
            waiting = [each.waiting for each in services.entitled[name].decisions.values()]
            told = said(services, name)
            states_reached = [each.state for each in payments]
            found[name] = (
                scored.revision,
                scored.basis,
                scored.riel,
                promised,
                states_reached,
                waiting,
                told,
            )
    return found


def everything(services: Services) -> dict[str, object]:
    """All that is kept, but for the numbers that events are told under."""
    return {
        "scored": {name: each._replace(sequence=0) for name, each in services.scored.items()},
        "payments": {
            name: [
                (each.payment_id, each.amount, each.entitled, each.state) for each in kept.payments.values()
            ]
            for name, kept in services.entitled.items()
        },
        "decisions": {
            name: [each._replace(decision_id="") for each in kept.decisions.values()]
            for name, kept in services.entitled.items()
        },
        "transfers": sorted(services.transfers, key=str),
        "told": {name: (said(services, name), known(services, name)) for name in services.told},
    }


def said(services: Services, name: str) -> list[str]:
    """The steps of its payments that a household is told of; which are overtaken depends on the batches."""
    told = services.told.get(name)
    return sorted(each.sms_id for each in told.new) if told else []


def known(services: Services, name: str) -> list[tuple[object, ...]]:
    """What notifications knows of a household's payments in the end."""
    return [(*each[:8],) for each in services.told[name].payments.values()]


def assert_no_payment_is_lost_or_doubled(services: Services) -> None:
    for name, household in services.entitled.items():
        assert len(household.payments) <= 1
        paid = {each.payment_id for each in household.payments.values()}
        told = [] if name not in services.told else services.told[name].new
        assert {each.payment_id for each in told} == paid
        assert len({each.sms_id for each in told}) == len({(each.payment_id, each.template) for each in told})
    committed = sum(-each.amount if each.frees else each.amount for each in services.transfers if moves(each))
    live = [
        each.amount
        for household in services.entitled.values()
        for each in household.payments.values()
        if each.state in LIVE
    ]
    assert committed == sum(live)
    assert len({(each.subject, each.kind) for each in services.transfers}) == len(services.transfers)


def moves(transfer: Transfer) -> bool:
    return transfer.frees or transfer.kind is Kind.ISSUE


@settings(max_examples=150)
@given(st.randoms(use_true_random=True))
def test_every_interleaving_of_all_topics_ends_in_the_same_payments_and_sms(random: Random) -> None:
    given_events = inputs(random, troubled=True)
    drawn = at_random(given_events, random, cycle_first=False)
    assert_no_payment_is_lost_or_doubled(drawn)
    assert digest(drawn) == digest(in_order(given_events))


@settings(max_examples=150)
@given(st.randoms(use_true_random=True))
def test_where_the_cycle_was_known_before_all_that_is_kept_is_the_same(random: Random) -> None:
    given_events = inputs(random, troubled=False)
    drawn = at_random(given_events, random, cycle_first=True)
    assert_no_payment_is_lost_or_doubled(drawn)
    assert everything(drawn) == everything(in_order(given_events))
