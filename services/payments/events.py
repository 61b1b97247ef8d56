"""What payments says of a household's payments: events for all, instructions for the partner alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from contracts.cycle import CycleChanged, EnvelopeChanged
from contracts.hold import HoldChanged, HoldState
from contracts.model import Contract
from contracts.payment import InstructionKind, PaymentInstruction, PaymentState
from contracts.topics import (
    CYCLE_CHANGED,
    ENVELOPE_CHANGED,
    HOLD_CHANGED,
    PAYMENT_ISSUED,
    PAYMENT_UPDATED,
    Topic,
)
from contracts.wire import JSON, Cause, Record, dump, emit, emit_bytes, event_id
from services.payments import written
from services.payments.cycles import Cycle
from services.payments.entitlements import Corrected, Household, Issued
from services.payments.holds import Hold
from services.payments.partners.kafka import Mailing
from services.payments.states import Account, Cancelling, Inquiry, State, Updated, instruction_id
from vault.sealing import Keys

_TOLD_AS = {state: PaymentState(state.value) for state in State}
_ACCOUNT = {"account"}
PHNOM_PENH = timezone(timedelta(hours=7))


@dataclass(frozen=True, slots=True)
class Voice:
    """What speaking needs: a mailing to each partner, the records' time, how long a payee has to collect.

    It speaks once: what it writes to partners is sealed after all else is said.
    """

    mailings: Mapping[str, Mailing]
    now: datetime
    withdrawal: timedelta

    def of_households(self, households: Iterable[Household], keys: Keys) -> list[Record]:
        """What a batch of decisions issued, corrected and asks; `keys` seal the payee again."""
        records: list[Record] = []
        until = (self.now + self.withdrawal).astimezone(PHNOM_PENH).date()
        for household in households:
            for change in household.changes:
                if isinstance(change, Issued):
                    records.append(self._issued(change, until, keys))
                    self._pay(change, until)
                elif isinstance(change, Cancelling):
                    self._cancel(change)
                elif isinstance(change, Inquiry):
                    self._inquire(change)
                else:
                    records.append(self._corrected(change))
        return [*records, *self._sealed()]

    def of_accounts(self, accounts: Iterable[Account]) -> list[Record]:
        """What a batch of reports, or silence, changed and asks."""
        records: list[Record] = []
        for account in accounts:
            records += map(self._updated, account.updates)
            for inquiry in account.inquiries:
                self._inquire(inquiry)
            for cancelling in account.cancellings:
                self._cancel(cancelling)
        return [*records, *self._sealed()]

    def _sealed(self) -> list[Record]:
        return [record for mailing in self.mailings.values() for record in mailing.sealed()]

    def _issued(self, issued: Issued, until: date, keys: Keys) -> Record:
        payment = issued.payment
        # Who listens to this event tells the payee; only the partner needs the account.
        told = dump(issued.payee, without=_ACCOUNT)
        known_as, event_type = payment.payment_id, PAYMENT_ISSUED.name
        blob = keys.seal(issued.key_id, told, event_id=known_as, event_type=event_type)
        return emit_bytes(
            PAYMENT_ISSUED,
            written.issued(payment, until, issued.key_id, blob),
            JSON,
            id=known_as,
            key=payment.household_id,
            sequence=issued.sequence,
            time=self.now,
            cause=issued.cause,
        )

    def _pay(self, issued: Issued, until: date) -> None:
        known_as = instruction_id(issued.payment, InstructionKind.PAY)
        said = written.order(issued.payment, issued.payee, known_as, until)
        self._instruct(said, known_as, issued)

    def _inquire(self, inquiry: Inquiry) -> None:
        self._ask(inquiry, InstructionKind.INQUIRE, inquiry.payment.inquiries)

    def _cancel(self, cancelling: Cancelling) -> None:
        self._ask(cancelling, InstructionKind.CANCEL, cancelling.payment.cancels)

    def _ask(self, asked: Inquiry | Cancelling, kind: InstructionKind, number: int) -> None:
        payment = asked.payment
        known_as = instruction_id(payment, kind, number)
        instruction = PaymentInstruction(
            instruction_id=known_as,
            kind=kind,
            payment_id=payment.payment_id,
            partner=payment.partner,
            amount=payment.amount,
            commune=payment.commune,
        )
        self._instruct(dump(instruction), known_as, asked)

    def _instruct(self, said: bytes, known_as: str, about: Issued | Inquiry | Cancelling) -> None:
        payment = about.payment
        self.mailings[payment.partner].instruct(
            said,
            id=known_as,
            household_id=payment.household_id,
            sequence=about.sequence,
            time=self.now,
            cause=about.cause,
        )

    def _updated(self, update: Updated) -> Record:
        return self._tell(written.updated(update.payment, _TOLD_AS[update.payment.state]), update)

    def _corrected(self, corrected: Corrected) -> Record:
        said = written.updated(corrected.payment, PaymentState.CORRECTED, corrected.correction)
        return self._tell(said, corrected)

    def _tell(self, said: bytes, about: Updated | Corrected) -> Record:
        household_id, sequence = about.payment.household_id, about.sequence
        return emit_bytes(
            PAYMENT_UPDATED,
            said,
            JSON,
            id=event_id(PAYMENT_UPDATED, household_id, sequence),
            key=household_id,
            sequence=sequence,
            time=self.now,
            cause=about.cause,
        )


def of_cycle(before: Cycle | None, after: Cycle, actor: str, now: datetime, cause: Cause) -> list[Record]:
    """What a step changed for others: the cycle's state or terms, and the money behind it."""

    def tell(topic: Topic, data: Contract) -> Record:
        cycle_id, version = after.cycle_id, after.version
        known_as = event_id(topic, cycle_id, version)
        return emit(topic, data, id=known_as, key=cycle_id, sequence=version, time=now, cause=cause)

    records = []
    if before is None or (before.state, before.terms) != (after.state, after.terms):
        records.append(tell(CYCLE_CHANGED, _changed(after, actor)))
    if after.funded != (before.funded if before else 0):
        envelope = EnvelopeChanged(
            envelope_id=after.cycle_id,
            cycle_id=after.cycle_id,
            funded=after.funded,
            actor=actor,
            reason=after.reason,
            donor=after.donor,
        )
        records.append(tell(ENVELOPE_CHANGED, envelope))
    return records


def of_hold(hold: Hold, now: datetime, cause: Cause) -> Record:
    """That a hold was placed, or released."""
    state, version = (HoldState.RELEASED, 2) if hold.released_by else (HoldState.PLACED, 1)
    data = HoldChanged(
        hold_id=hold.hold_id,
        state=state,
        household_id=hold.household_id,
        account_digest=hold.account_digest,
        reason=hold.release_reason or hold.reason,
        actor=hold.released_by or hold.placed_by,
    )
    key, known_as = hold.household_id or hold.hold_id, event_id(HOLD_CHANGED, hold.hold_id, version)
    return emit(HOLD_CHANGED, data, id=known_as, key=key, sequence=version, time=now, cause=cause)


def _changed(cycle: Cycle, actor: str) -> CycleChanged:
    terms = cycle.terms
    return CycleChanged(
        cycle_id=cycle.cycle_id,
        programme=terms.programme,
        programme_hash=terms.programme_hash,
        purpose=terms.purpose,
        period=terms.period,
        reference_date=terms.reference_date,
        state=cycle.state,
        cap_household=terms.cap_household,
        cap_payments=terms.cap_payments,
        actor=actor,
        reason=cycle.reason,
        approval=terms.approval,
    )
