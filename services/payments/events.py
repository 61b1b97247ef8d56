"""What payments says of a household's payments: events for all, instructions for the partner alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from contracts.cycle import CycleChanged, EnvelopeChanged
from contracts.hold import HoldChanged, HoldState
from contracts.model import Contract
from contracts.payment import (
    InstructionKind,
    PaymentInstruction,
    PaymentIssued,
    PaymentState,
    PaymentUpdated,
    PayTo,
)
from contracts.sealed import Sealed
from contracts.topics import (
    CYCLE_CHANGED,
    ENVELOPE_CHANGED,
    HOLD_CHANGED,
    PAYMENT_ISSUED,
    PAYMENT_UPDATED,
    Topic,
)
from contracts.wire import Cause, Record, dump, emit, event_id
from services.payments.cycles import Cycle
from services.payments.entitlements import Corrected, Household, Issued
from services.payments.holds import Hold
from services.payments.partners.kafka import Mailing
from services.payments.states import Account, Cancelling, Inquiry, Payment, State, Updated
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
        """What a batch of decisions issued and corrected; `keys` seal the payee again."""
        records: list[Record] = []
        until = (self.now + self.withdrawal).astimezone(PHNOM_PENH).date()
        for household in households:
            for change in household.changes:
                if isinstance(change, Issued):
                    records.append(self._issued(change, until, keys))
                    self._pay(change, until)
                elif isinstance(change, Cancelling):
                    self._cancel(change)
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
        return emit(
            PAYMENT_ISSUED,
            PaymentIssued(
                payment_id=payment.payment_id,
                programme=payment.programme,
                period=payment.period,
                household_id=payment.household_id,
                purpose=payment.purpose,
                attempt=payment.attempt,
                cycle_id=payment.cycle_id,
                amount=payment.amount,
                carried=payment.carried,
                partner=payment.partner,
                commune=payment.commune,
                revision=payment.revision,
                decision_id=payment.decision_id,
                withdraw_until=until,
                payee=_sealed(issued, keys),
            ),
            id=payment.payment_id,
            key=payment.household_id,
            sequence=issued.sequence,
            time=self.now,
            cause=issued.cause,
        )

    def _pay(self, issued: Issued, until: date) -> None:
        payee, payment = issued.payee, issued.payment
        instruction = PaymentInstruction(
            instruction_id=self._instruction_id(payment, "pay", 0),
            kind=InstructionKind.PAY,
            payment_id=payment.payment_id,
            partner=payment.partner,
            amount=payment.amount,
            commune=payment.commune,
            withdraw_until=until,
            pay_to=PayTo(
                name_km=payee.name_km, name_latin=payee.name_latin, phone=payee.phone, account=payee.account
            ),
        )
        self._instruct(instruction, payment, issued.sequence, issued.cause)

    def _inquire(self, inquiry: Inquiry) -> None:
        self._ask(inquiry, InstructionKind.INQUIRE, inquiry.payment.inquiries)

    def _cancel(self, cancelling: Cancelling) -> None:
        self._ask(cancelling, InstructionKind.CANCEL, cancelling.payment.cancels)

    def _ask(self, asked: Inquiry | Cancelling, kind: InstructionKind, number: int) -> None:
        payment = asked.payment
        instruction = PaymentInstruction(
            instruction_id=self._instruction_id(payment, kind.value, number),
            kind=kind,
            payment_id=payment.payment_id,
            partner=payment.partner,
            amount=payment.amount,
            commune=payment.commune,
        )
        self._instruct(instruction, payment, asked.sequence, asked.cause)

    def _instruction_id(self, payment: Payment, *what: object) -> str:
        return self.mailings[payment.partner].instruction_id(payment.payment_id, *what)

    def _instruct(
        self, instruction: PaymentInstruction, payment: Payment, sequence: int, cause: Cause
    ) -> None:
        self.mailings[payment.partner].instruct(
            instruction, household_id=payment.household_id, sequence=sequence, time=self.now, cause=cause
        )

    def _updated(self, update: Updated) -> Record:
        payment = update.payment
        data = PaymentUpdated(
            payment_id=payment.payment_id,
            household_id=payment.household_id,
            cycle_id=payment.cycle_id,
            state=_TOLD_AS[payment.state],
            amount=payment.amount,
            partner=payment.partner,
            reason=payment.reason,
        )
        return self._tell(data, update.sequence, update.cause)

    def _corrected(self, corrected: Corrected) -> Record:
        payment = corrected.payment
        data = PaymentUpdated(
            payment_id=payment.payment_id,
            household_id=payment.household_id,
            cycle_id=payment.cycle_id,
            state=PaymentState.CORRECTED,
            amount=payment.amount,
            partner=payment.partner,
            correction=corrected.correction,
        )
        return self._tell(data, corrected.sequence, corrected.cause)

    def _tell(self, data: PaymentUpdated, sequence: int, cause: Cause) -> Record:
        return emit(
            PAYMENT_UPDATED,
            data,
            id=event_id(PAYMENT_UPDATED, data.household_id, sequence),
            key=data.household_id,
            sequence=sequence,
            time=self.now,
            cause=cause,
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


def _sealed(issued: Issued, keys: Keys) -> Sealed:
    # Who listens to this event tells the payee; only the partner needs the account.
    told = dump(issued.payee, without=_ACCOUNT)
    event_id, event_type = issued.payment.payment_id, PAYMENT_ISSUED.name
    blob = keys.seal(issued.key_id, told, event_id=event_id, event_type=event_type)
    return Sealed(key_id=issued.key_id, blob=blob)
