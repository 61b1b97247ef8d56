"""Issues a payment at a time, and instructs the partner in the clear."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import uuid5

import asyncpg
from faststream import Context

from benchmarks.baseline.messages import Issued, Scored, application, stack_broker
from benchmarks.floor.wire import PARTNER, PERIOD
from contracts.eligibility import Outcome
from contracts.payment import InstructionKind, PaymentInstruction, PayTo
from contracts.topics import ELIGIBILITY_SCORED, PAYMENT_ISSUED, partner_instruction
from contracts.wire import NAMESPACE

broker = stack_broker()
issued = broker.publisher(PAYMENT_ISSUED.name)
instructed = broker.publisher(partner_instruction(PARTNER).name)


@broker.subscriber(ELIGIBILITY_SCORED.name, group_id="payments", auto_offset_reset="earliest")
async def issue(said: Scored, db: Annotated[asyncpg.Pool, Context()]) -> None:
    """Book, tell, instruct."""
    if said.decision.outcome is not Outcome.ELIGIBLE:
        return
    payment = Issued(
        payment_id=str(uuid5(NAMESPACE, f"payment/{PERIOD}/{said.household_id}")),
        household_id=said.household_id,
        programme=said.decision.programme,
        period=PERIOD,
        amount=said.decision.amount,
        withdraw_until=(datetime.now(UTC) + timedelta(days=30)).date(),
        payee=said.payee,
    )
    await db.execute(
        "insert into payment values ($1, $2, $3) on conflict do nothing",
        payment.payment_id,
        payment.household_id,
        payment.amount,
    )
    instruction = PaymentInstruction(
        instruction_id=payment.payment_id,
        kind=InstructionKind.PAY,
        payment_id=payment.payment_id,
        partner=PARTNER,
        amount=payment.amount,
        commune=said.commune,
        withdraw_until=payment.withdraw_until,
        pay_to=PayTo(**said.payee.model_dump(include={"name_km", "name_latin", "phone", "account"})),
    )
    await issued.publish(payment, key=said.household_id.encode())
    await instructed.publish(instruction, key=said.household_id.encode())


app = application(broker, "payment (payment_id text primary key, household_id text, amount bigint)")

if __name__ == "__main__":
    asyncio.run(app.run())
