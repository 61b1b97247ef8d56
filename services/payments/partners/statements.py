"""Statements of banks, kept as they came: what money moved, and which of it came back."""

from collections.abc import Sequence

from contracts.payment import ReportStatus
from postbox.message import Connection
from services.payments import store_files
from services.payments.partners.iso20022.camt import Line, Statement
from services.payments.store_files import File, Row, Tally

NO_STATEMENT = "statement: it was not taken"


async def keep(
    db: Connection, file: File, items: Sequence[tuple[int, Statement | Line]]
) -> tuple[Tally, list[Row]]:
    """Keep numbered statements and lines; (tally, rows to set aside or to book as returned).

    A statement that another file brought is known with all its lines. The rows are not in the tally.
    """
    known = 0
    rows: list[Row] = []
    for number, each in items:
        if each.flaw:
            rows.append(_row(file, number, each, why=each.flaw))
        elif isinstance(each, Statement):
            new = await store_files.add_statement(db, file, each)
            known += not new
    named = {(each.account, each.statement_id) for _, each in items if isinstance(each, Line)}
    owners = await store_files.owners(db, file.partner, named)
    moved: list[tuple[int, Line]] = []
    for number, each in items:
        if isinstance(each, Statement) or each.flaw:
            continue
        owner = owners.get((each.account, each.statement_id))
        if owner is None:
            rows.append(_row(file, number, each, why=NO_STATEMENT))
        elif owner != file.sha256:
            known += 1
        else:
            moved.append((number, each))
            if each.returned and each.incoming and each.payment_id:
                rows.append(_row(file, number, each, why=""))
    await store_files.add_lines(db, file, moved)
    return Tally(len(items) - known - len(rows), known, 0), rows


def _row(file: File, number: int, each: Statement | Line, why: str) -> Row:
    line = each if isinstance(each, Line) else None
    return Row(
        partner=file.partner,
        sha256=file.sha256,
        position=number,
        payment_id=line.payment_id if line else None,
        status=ReportStatus.RETURNED if line and line.returned else None,
        amount=line.amount if line else None,
        reference=line.reference if line else None,
        reason_code=line.reason if line else None,
        occurred_at=None,
        why=why,
        flawed=bool(why),
    )
