"""One function per message: load, decide, save, and say what happened."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from contracts.eligibility import SEALED_TOGETHER, EligibilityCompleted, Outcome
from contracts.household import HouseholdExited, HouseholdKeys, KeyPurpose, KeyState, Payee
from contracts.payment import PaymentReport, ReportStatus
from contracts.topics import ELIGIBILITY_SCORED
from contracts.wire import Received, Record, dump, load
from postbox import parking
from postbox.message import Batch, Connection
from services.payments import (
    answers,
    entitlements,
    payees,
    states,
    store,
    store_answers,
    store_attempts,
    store_cycles,
    store_envelopes,
    store_holds,
    store_outgoing,
    store_reports,
    together,
)
from services.payments.approval import Thresholds
from services.payments.attempts import Retrying
from services.payments.budget import Budget
from services.payments.entitlements import Desk, Household, Issued, SealedPayee
from services.payments.events import Voice
from services.payments.heard import DecisionHeard, ScoredHeard, SensitiveHeard
from services.payments.holds import Held, account_of
from services.payments.partners import routing
from services.payments.partners.options import Exchange, Partner
from services.payments.partners.served import Told
from services.payments.reconciliation import Limits
from services.payments.screening import Screen
from services.payments.screening_desk import screen, told
from services.payments.states import Patience
from services.payments.store_outgoing import Waiting
from vault import keyring
from vault.keyring import WrappedKey
from vault.master import MasterKey
from vault.sealing import Keys

_MAY_FREE = frozenset(
    {ReportStatus.FAILED, ReportStatus.EXPIRED, ReportStatus.RETURNED, ReportStatus.CANCELLED}
)


@dataclass(frozen=True)
class Office:
    """What payments works with: keys to open payees, the partners, how long they may take, and how often."""

    master: MasterKey
    partners: Mapping[str, Partner]
    patience: Patience
    withdrawal: timedelta
    retrying: Retrying
    recover_percent: int
    exchange: Exchange
    thresholds: Thresholds
    screen: Screen | None
    limits: Limits
    confirm_payees: bool

    def voice(self, now: datetime) -> Voice:
        """Speaks at `now`, of one batch."""
        mailings = {name: partner.mailing() for name, partner in self.partners.items()}
        return Voice(mailings, now, self.withdrawal)

    def desk(self, keys: Keys, budgets: Mapping[str, Budget], held: Held) -> Desk:
        """Issues from these budgets, for payees that these keys open and nobody holds."""

        def is_held(household_id: str, payee: Payee) -> bool:
            account = account_of(payee) if held.accounts else None
            return held.holds(household_id, self.digest(account) if account else None)

        route = partial(routing.route, self.exchange.doors, self.exchange.closed)
        digest = partial(digest_of, keys)
        return Desk(
            *(budgets, opener(keys), route, self.recover_percent, is_held, digest, self.mark),
            confirms=self.confirm_payees,
            paused=self.exchange.paused,
            partners=self.partners,
        )

    def mark(self, payee: Payee) -> bytes:
        """What is kept of the payee that was paid last, to see that another one comes."""
        return self.master.keyed_hash(payees.written(payee))

    def digest(self, text: str) -> str:
        """What is kept of an account or a name: always the same, and nothing without the master key."""
        return self.master.keyed_hash(text).hex()


async def score(office: Office, batch: Batch[Received[ScoredHeard]], db: Connection) -> Sequence[Record]:
    """Take in decisions: each is paid at once, waits with its reason, supersedes or corrects."""
    keys = await keyring.load(db, office.master, (each.data.payee.key_id for each in batch.messages))
    holds: Sequence[Record] = ()
    if office.screen is not None:
        payees = told(opener(keys), batch.messages)
        holds = await screen(office.screen, office.digest, db, payees, batch.now)
    cycles = {
        said.cycle_id: said.period
        for each in batch.messages
        for said in each.data.decisions
        if said.cycle_id and said.period
    }
    if any(each.data.sensitive for each in batch.messages):
        # Which of them each household is in stands sealed: all are shared before its own row is locked.
        cycles |= await store_cycles.periods_of(db, SEALED_TOGETHER)
    budgets = await store_envelopes.budgets(db, _payments_most(batch.messages, cycles))
    households = await store.load(db, batch.keys, cycles.values())
    desk = office.desk(keys, budgets, await store_holds.held(db, batch.keys))
    changed = batch.fold(households, partial(_score, desk, keys))
    await write(office, db, changed, budgets.values(), batch.now)
    known = [each.household_id for each in changed if not each.is_new]
    if known:
        await store_attempts.hurry(db, known, batch.now)
    return [*holds, *office.voice(batch.now).of_households(changed, keys)]


def _payments_most(messages: Iterable[Received[ScoredHeard]], cycle_ids: Iterable[str]) -> dict[str, int]:
    """How many payments these decisions may lead to, by cycle."""
    counted = dict.fromkeys(cycle_ids, 0)
    for each in messages:
        for decision in each.data.decisions:
            if decision.cycle_id in counted and decision.outcome is Outcome.ELIGIBLE:
                counted[decision.cycle_id] += 1
        if each.data.sensitive:
            together = (each for each in counted if each.startswith(f"{SEALED_TOGETHER}-"))
            counted |= {cycle_id: counted[cycle_id] + 1 for cycle_id in together}
    return counted


def _score(
    desk: Desk, keys: Keys, household: Household | None, scored: Received[ScoredHeard]
) -> Household | None:
    sealed = together.combine(opened_sensitive(keys, scored)) if scored.data.sensitive else ()
    return entitlements.score(desk, household, scored, sealed)


async def complete(batch: Batch[Received[EligibilityCompleted]], db: Connection) -> Sequence[Record]:
    """Take in which partitions of a cycle are answered: a preview waits for all of them."""
    known = await store_answers.load(db, batch.keys)
    await store_answers.save(db, batch.fold(known, answers.take), batch.now)
    return ()


async def leave(office: Office, batch: Batch[Received[HouseholdExited]], db: Connection) -> Sequence[Record]:
    """Take in exits: what waits for these households is void; what is open is asked to be cancelled."""
    households = await store.load(db, batch.keys, (), with_open=True)
    changed = batch.fold(households, entitlements.leave)
    await write(office, db, changed, (), batch.now)
    return office.voice(batch.now).of_households(changed, Keys({}))


async def report(office: Office, batch: Batch[Received[PaymentReport]], db: Connection) -> Sequence[Record]:
    """Book what a partner says; what frees money frees it in the cycle's envelope, kept open before."""
    payment_ids = [each.data.payment_id for each in batch.messages]
    if any(each.data.status in _MAY_FREE for each in batch.messages):
        cycle_ids = await store_reports.cycles_of(db, batch.keys, payment_ids)
        await store_envelopes.keep_open(db, cycle_ids)
    report_ids = [each.data.report_id for each in batch.messages]
    accounts = await store_reports.load(db, batch.keys, payment_ids, report_ids)
    changed = batch.fold(accounts, states.book)
    transfers = await store_reports.save(db, changed, batch.now, office.patience)
    await store_attempts.note(db, changed, batch.now, office.retrying.after)
    await store_envelopes.free(db, transfers)
    return office.voice(batch.now).of_accounts(changed)


async def queue(batch: Batch[Told], db: Connection) -> Sequence[Record]:
    """Keep what a partner that reads no topic is to be told, for the job that tells it."""
    waiting = [
        Waiting(
            *(each.key, said.instruction_id, said.partner, said.payment_id, said.kind, said.amount),
            *(each.token, each.flaw),
        )
        for each in batch.messages
        for said in (each.data,)
    ]
    await store_outgoing.add(db, waiting, batch.now)
    return ()


async def keep_keys(batch: Batch[Received[HouseholdKeys]], db: Connection) -> Sequence[Record]:
    """Keep payees' wrapped keys; what waited for one is tried again, or says that it was destroyed."""
    keys = [
        WrappedKey(said.household_id, key.key_id, key.purpose, key.state, key.master_key_id, key.wrapped)
        for said in (each.data for each in batch.messages)
        for key in said.keys
        if key.purpose is KeyPurpose.PAYEE
    ]
    changed = await keyring.keep(db, keys)
    destroyed = [(key.household_id, key.key_id) for key in keys if key.state == KeyState.DESTROYED]
    if destroyed:
        await store.mark_forgotten(db, destroyed)
    await parking.retry_now(db, changed)
    return ()


async def write(
    office: Office,
    db: Connection,
    households: Sequence[Household],
    budgets: Iterable[Budget],
    now: datetime,
) -> None:
    """Save what was decided and what it spent."""
    issued = [change.payment for each in households for change in each.changes if isinstance(change, Issued)]
    funds = await store_envelopes.spend(db, budgets, issued)
    await store.save(db, households, funds, now, office.patience)


def digest_of(keys: Keys, key_id: str, payee: Payee) -> str:
    """A payee's name on payrolls: the same for the same payee under the same key."""
    return keys.mark(key_id, dump(payee)).hex()


def opened_sensitive(keys: Keys, scored: Received[ScoredHeard]) -> Sequence[DecisionHeard]:
    """What sensitive programmes decided; nothing where there are none, or the key was destroyed."""
    sealed = scored.data.sensitive
    if sealed is None or keys.state(sealed.key_id) == "destroyed":
        return ()
    kind = f"{ELIGIBILITY_SCORED.name}/sensitive"
    plain = keys.open(sealed.key_id, sealed.blob, event_id=scored.id, event_type=kind)
    return load(SensitiveHeard, plain).decisions


def opener(keys: Keys) -> Callable[[SealedPayee, str], Payee | None]:
    """Opens a payee sealed under a decision's event; None where the key was destroyed."""

    def open_payee(payee: SealedPayee, event_id: str) -> Payee | None:
        if keys.state(payee.key_id) == "destroyed":
            return None
        plain = keys.open(payee.key_id, payee.blob, event_id=event_id, event_type=ELIGIBILITY_SCORED.name)
        return load(Payee, plain)

    return open_payee
