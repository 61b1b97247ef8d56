"""The third bare process: issues what eligibility decided, and instructs the partner as the services do."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.jwk import OKPKey

from benchmarks.floor.hop import Ciphers, Hop, Service, columns, run
from benchmarks.floor.wire import CYCLE, PARTNER, Event, Headers, Out, Outgoing, seal, unseal, uuid5
from contracts import bundle, wire
from contracts.eligibility import EligibilityScored, Outcome, ProgrammeDecision
from contracts.household import Payee
from contracts.payment import InstructionKind, PaymentInstruction, PaymentIssued, PayTo
from contracts.sealed import Sealed
from contracts.topics import ELIGIBILITY_SCORED, PAYMENT_ISSUED, partner_instruction
from contracts.wire import Record
from vault.jose import Agreement, Signer

SCHEMA = """
create table if not exists payment (
    payment_id text primary key, household_id text not null, cycle_id text not null, amount bigint not null
);
create table if not exists envelope (cycle_id text primary key, committed bigint not null);
"""
INSTRUCTION = partner_instruction(PARTNER)
BUNDLE_MOST = 100
WITHDRAWAL, PHNOM_PENH = timedelta(days=30), timezone(timedelta(hours=7))


class Due(NamedTuple):
    """A decision that gives money, and the payment it leads to."""

    payment_id: str
    event: Event[EligibilityScored]
    decision: ProgrammeDecision


class Payments(Service):
    """Issues each decision that gives money, once."""

    def __init__(self) -> None:
        super().__init__("payments", SCHEMA)
        partners = json.loads(self.settings["partners"])
        self._signer = Signer(_read_key(self.settings["signing_key_file"]))
        self._partner = _read_key(partners[PARTNER]["encrypt_to"])
        self._until = (datetime.now(UTC) + WITHDRAWAL).astimezone(PHNOM_PENH).date()

    async def issue(self, events: list[Event[EligibilityScored]], ciphers: Ciphers) -> Outgoing:
        """Book, then tell notifications and the partner."""
        due = [_due(event, each) for event in events for each in event.data.decisions if _gives(each)]
        booked = sorted((d.payment_id, d.event.data.household_id, CYCLE, d.decision.amount) for d in due)
        new = await self.db.fetch(
            "insert into payment select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])"
            " on conflict do nothing returning payment_id, amount",
            *columns(booked, 4),
        )
        await self.db.execute(
            "insert into envelope as e values ($1, $2)"
            " on conflict (cycle_id) do update set committed = e.committed + excluded.committed",
            CYCLE,
            sum(row[1] for row in new),
        )
        fresh = {row[0] for row in new}
        outgoing: Outgoing = {}
        pays: dict[int, list[Out]] = {}
        for each in due:
            if each.payment_id in fresh:
                issued, pay = self._tell(each, ciphers[each.event.data.payee.key_id])
                outgoing.setdefault((PAYMENT_ISSUED.name, each.event.partition), []).append(issued)
                pays.setdefault(each.event.partition, []).append(pay)
        return outgoing | self._sealed(pays)

    def _sealed(self, pays: Mapping[int, Sequence[Out]]) -> Outgoing:
        """Instructions of each partition in bundles, under one key agreement."""
        agreement, headers = Agreement(self._partner), Headers(INSTRUCTION.name, "payments", wire.JSON)
        sealed: Outgoing = {}
        for partition, some in pays.items():
            records = [Record(INSTRUCTION.name, *each[:2], tuple(headers.of(each))) for each in some]
            tokens: list[Out] = sealed.setdefault((INSTRUCTION.name, partition), [])
            at = 0
            for together in bundle.bundles(records, BUNDLE_MOST):
                token = agreement.encrypt(self._signer.sign(together.batch, bundle.CTY))
                tokens.append((some[at][0], token, *some[at][2:]))
                at += len(together.records)
        return sealed

    def _tell(self, due: Due, cipher: AESGCM) -> tuple[Out, Out]:
        payment_id, event, decision = due
        said = event.data
        payee = wire.load(Payee, unseal(cipher, said.payee.blob, event.id, ELIGIBILITY_SCORED))
        told = wire.dump(payee.model_copy(update={"account": None}))
        issued = PaymentIssued(
            payment_id=payment_id,
            programme=decision.programme,
            period=decision.period or "",
            household_id=said.household_id,
            purpose=decision.purpose,
            attempt=1,
            cycle_id=CYCLE,
            amount=decision.amount,
            partner=PARTNER,
            commune=said.commune,
            revision=said.revision,
            decision_id=event.id,
            withdraw_until=self._until,
            payee=Sealed(key_id=said.payee.key_id, blob=seal(cipher, told, payment_id, PAYMENT_ISSUED)),
        )
        pay = self._instruction(issued, payee)
        return (
            event.causes(said.household_id, wire.dump(issued), payment_id),
            event.causes(said.household_id, wire.dump(pay), pay.instruction_id),
        )

    def _instruction(self, issued: PaymentIssued, payee: Payee) -> PaymentInstruction:
        return PaymentInstruction(
            instruction_id=uuid5(f"{INSTRUCTION.name}/{issued.payment_id}/pay/0"),
            kind=InstructionKind.PAY,
            payment_id=issued.payment_id,
            partner=PARTNER,
            amount=issued.amount,
            commune=issued.commune,
            withdraw_until=self._until,
            pay_to=PayTo(
                name_km=payee.name_km, name_latin=payee.name_latin, phone=payee.phone, account=payee.account
            ),
        )


def _gives(decision: ProgrammeDecision) -> bool:
    return decision.outcome is Outcome.ELIGIBLE


def _due(event: Event[EligibilityScored], decision: ProgrammeDecision) -> Due:
    household_id = event.data.household_id
    key = f"{decision.programme}/{decision.period}/{household_id}/{decision.purpose}/1"
    return Due(wire.household_uuid(household_id, f"{PAYMENT_ISSUED.name}/{key}"), event, decision)


def _read_key(path: str) -> OKPKey:
    return OKPKey.import_key(json.loads(Path(path).read_text()))


async def main() -> None:
    """Pay what is decided."""
    payments = Payments()
    hop = Hop(
        payments, ELIGIBILITY_SCORED, EligibilityScored, lambda said: (said.payee.key_id,), payments.issue
    )
    await hop.run()


if __name__ == "__main__":
    run(main())
