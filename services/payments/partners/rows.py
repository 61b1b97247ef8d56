"""Rows of partners' files: booked on the path that reports on Kafka take, or set aside with a reason."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from contracts.payment import PaymentReport, ReportStatus
from contracts.topics import partner_report
from contracts.wire import Received, Record, uuid5
from postbox import parking
from postbox.message import Batch, Connection
from services.payments import handlers, store_attempts, store_files, store_outgoing
from services.payments.handlers import Office
from services.payments.store_files import Row, Tally
from services.payments.store_outgoing import Paid

UNKNOWN = "payment: no such payment"
OTHERS = "payment: another partner's"
HELD = "household: an earlier message of it is parked"


async def book(
    office: Office,
    db: Connection,
    rows: Sequence[Row],
    now: datetime,
    traceparent: str,
    *,
    answers: Mapping[str, str] = MappingProxyType({}),
    final: Iterable[str] = (),
) -> tuple[Tally, Sequence[Record]]:
    """Book what can be booked and set the rest aside; (what became of the rows, what is to be published).

    A row whose `why` is not empty was judged before, and is set aside for it. `answers`: by payment, which
    question of ours they answer. `final`: payments of which nobody has to be asked whether they ended so.
    """
    if not rows:
        return Tally(0, 0, 0), ()
    paid = await store_outgoing.find(db, (each.payment_id for each in rows if each.payment_id))
    held = await parking.held(db, sorted({each.household_id for each in paid.values()}))
    judged = [_judged(each, paid, set(held)) for each in rows]
    good = [each for each in judged if not each.why]
    reports = [_report(each, paid[each.payment_id or ""], answers, now, traceparent) for each in good]
    batch = Batch(reports, now)
    records = await handlers.report(office, batch, db) if good else ()
    parked = [each for each in judged if each.why]
    parked += [good[each.index]._replace(why=each.reason) for each in batch.parked]
    booked = {each.payment_id for each in good} - {each.payment_id for each in parked}
    ended = [(paid[each].household_id, each) for each in final if each in booked]
    if ended:
        await store_attempts.need_no_answer(db, ended, now)
    await store_files.park(db, parked, now)
    return Tally(len(good) - batch.known - len(batch.parked), batch.known, len(parked)), records


def _judged(row: Row, paid: dict[str, Paid], held: set[str]) -> Row:
    if row.why:
        return row
    found = paid.get(row.payment_id or "")
    if found is None:
        return row._replace(why=UNKNOWN)
    if found.partner != row.partner:
        return row._replace(why=OTHERS)
    return row._replace(why=HELD if found.household_id in held else "")


def _report(
    row: Row, paid: Paid, answers: Mapping[str, str], now: datetime, traceparent: str
) -> Received[PaymentReport]:
    """The same words about a payment are the same report, whichever file brings them."""
    topic = partner_report(row.partner).name
    report_id = uuid5("/".join((topic, str(row.payment_id), str(row.status), row.reference or "")))
    said = PaymentReport(
        report_id=report_id,
        payment_id=row.payment_id or "",
        instruction_id=answers.get(row.payment_id or ""),
        partner=row.partner,
        status=ReportStatus(row.status or ""),
        amount=paid.amount if row.amount is None else row.amount,
        partner_reference=row.reference,
        reason_code=row.reason_code,
        occurred_at=row.occurred_at or now,
    )
    return Received(said, report_id, topic, paid.household_id, now, 0, report_id, traceparent)
