"""What a partner that reads no topic is never told: its payments end here, by our word and with a reason.

Nobody can be paid so (`flaw`); it was withdrawn before it was told; or it can't be cancelled in that way, and
then the partner is asked what became of it.
"""

from collections.abc import Sequence
from datetime import datetime

from contracts.payment import InstructionKind, ReportStatus
from contracts.wire import Record
from postbox import outbox
from postbox.message import Connection
from postbox.service import Service
from services.payments import store_outgoing
from services.payments.handlers import Office
from services.payments.partners import rows
from services.payments.store_files import Row
from services.payments.store_outgoing import Waiting

AT_ONCE = 500
LANE = "job:orders"
WITHDRAWN = "withdrawn"


async def end(office: Office, service: Service, partner: str, now: datetime) -> None:
    """End what a partner is never told: it failed, or is cancelled, and its money is free again."""
    async with service.db.acquire() as db, db.transaction():
        found = await store_outgoing.unsent(db, partner, AT_ONCE)
        if not found:
            return
        records = await _end(office, db, found, now, service.new_traceparent())
        await outbox.write(db, LANE, records)
    service.courier.take([LANE])


async def _end(
    office: Office, db: Connection, found: Sequence[Waiting], now: datetime, traceparent: str
) -> Sequence[Record]:
    cancels = {each.payment_id: each for each in found if each.kind == InstructionKind.CANCEL}
    withdrawn = await store_outgoing.untold(db, partner=found[0].partner, payment_ids=sorted(cancels))
    unwritable = [each for each in found if each.kind == InstructionKind.PAY and each.flaw]
    ended = {each.payment_id: _row(each, ReportStatus.CANCELLED, WITHDRAWN) for each in withdrawn}
    ended |= {each.payment_id: _row(each, ReportStatus.FAILED, each.flaw) for each in unwritable}
    refused = [each for each in cancels.values() if each.flaw and each.payment_id not in ended]
    await store_outgoing.say_no_more(db, sorted(ended))
    await store_outgoing.refuse_to_cancel(db, refused, now)
    _, records = await rows.book(office, db, list(ended.values()), now, traceparent, final=ended)
    return records


def _row(waiting: Waiting, status: ReportStatus, reason: str | None) -> Row:
    return Row(
        partner=waiting.partner,
        sha256=f"unsent-{waiting.instruction_id}",
        position=1,
        payment_id=waiting.payment_id,
        status=status,
        amount=waiting.amount,
        reference=None,
        reason_code=reason,
        occurred_at=None,
        why="",
        flawed=False,
    )
