"""Reads pain.002: what a bank says of each payment, row by row, and of whole files."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from contracts.payment import ReportStatus
from services.payments.partners.iso20022.amounts import Flaw, riel, spread
from services.payments.partners.iso20022.reading import NAMESPACE, PAIN_002, Leaves, elements, leaves, text

STATUSES = {
    "ACTC": ReportStatus.ACCEPTED,
    "ACCP": ReportStatus.ACCEPTED,
    "ACFC": ReportStatus.ACCEPTED,
    "ACSP": ReportStatus.ACCEPTED,
    "ACWC": ReportStatus.ACCEPTED,
    "ACWP": ReportStatus.ACCEPTED,
    "PDNG": ReportStatus.ACCEPTED,
    "RCVD": ReportStatus.ACCEPTED,
    "ACSC": ReportStatus.SETTLED,
    "ACCC": ReportStatus.SETTLED,
    "RJCT": ReportStatus.FAILED,
    "CANC": ReportStatus.CANCELLED,
}
"""ISO 20022 external code set, ExternalPaymentTransactionStatus1Code. ACCC: on the payee's account."""
DUPLICATES = frozenset({"AM05", "DU01", "DU02", "DU03", "DU04", "DU05"})
"""ExternalStatusReason1Code: it was sent before. The bank has it, so that nothing failed."""
_ROW, _BLOCK, _GROUP = "TxInfAndSts", "OrgnlPmtInfAndSts", "OrgnlGrpInfAndSts"
_IN_PART = "PART"
_END_TO_END_ID = f"{{{NAMESPACE}{PAIN_002}}}OrgnlEndToEndId"


class Said(NamedTuple):
    """One row. `amount` in riel, None where the bank repeats none; `flaw` says why it can't be taken.

    Times have no offset where the bank writes none; `said_at` is the file's.
    """

    payment_id: str | None
    status: ReportStatus | None
    amount: int | None
    reference: str | None
    reason: str | None
    occurred_at: datetime | None
    flaw: str | None = None
    said_at: datetime | None = None


class Whole(NamedTuple):
    """What a bank says at once of a file of ours, `message_id`: of all in it that it names in no row."""

    message_id: str
    status: ReportStatus | None
    reason: str | None
    occurred_at: datetime | None
    flaw: str | None = None


def named(path: Path) -> Iterator[str | Whole | None]:
    """Of each row its end-to-end id as it is written, then what the file says of whole files of ours.

    Its word on a payment block stands before that on the group. Raises `FileRefused` where it stops being
    valid.
    """
    for each in _parts(path, checked=False):
        yield each if isinstance(each, Whole) else each[0].findtext(_END_TO_END_ID)


def _parts(path: Path, *, checked: bool) -> Iterator[tuple[etree._Element, datetime | None] | Whole]:
    created, block, tags = None, None, ("GrpHdr", _GROUP, _ROW, _BLOCK)
    wholes: dict[str, Whole] = {}
    for event in elements(path, PAIN_002, begin=(), end=tags, checked=checked):
        element = event.element
        if event.tag == _ROW:
            if block is None:  # what stands before the rows is gone after the first
                parent = element.getparent()
                block = {} if parent is None else leaves(parent)
            yield element, created
        elif event.tag == "GrpHdr":
            created = _time(text(leaves(element), "CreDtTm"))
        else:
            said = leaves(element) if block is None else block
            if whole := _whole(said, created):
                wholes[whole.message_id] = whole
            block = None
    yield from wholes.values()


def rows(path: Path, *, checked: bool = False) -> Iterator[Said]:
    """What it says of single payments, in order; what was `checked` is not held against its schema again."""
    return (_said(*each) for each in _parts(path, checked=checked) if not isinstance(each, Whole))


def _whole(said: Leaves, created: datetime | None) -> Whole | None:
    """None where each payment is spoken of singly, or nothing is said at all."""
    code = text(said, "PmtInfSts", "GrpSts")
    message_id = text(said, "OrgnlPmtInfId", "OrgnlMsgId")
    if code in (None, _IN_PART) or message_id is None:
        return None
    reason = _reason(said)
    status = _status(code, reason)
    # That a whole file was settled is no word on each payee: their rows, or an answer of the bank, say so.
    settled = status is ReportStatus.SETTLED
    return Whole(
        message_id,
        ReportStatus.ACCEPTED if settled else status,
        reason,
        created,
        None if status else "status: a GrpSts or PmtInfSts we do not know",
    )


def _said(row: etree._Element, created: datetime | None) -> Said:
    said = leaves(row)
    payment, code = text(said, "OrgnlEndToEndId"), text(said, "TxSts")
    reason = _reason(said)
    flaws, amount, status = [], None, _status(code, reason)
    if (found := said.get("OrgnlTxRef/Amt/InstdAmt")) is not None:
        try:
            amount = riel(found)
        except Flaw as error:
            flaws.append(str(error))
    if payment is None:
        flaws.append("payment: OrgnlEndToEndId is missing")
    if status is None:
        flaws.append("status: TxSts is missing" if code is None else "status: a TxSts we do not know")
    return Said(
        payment_id=spread(payment) if payment is not None else None,
        status=status,
        amount=amount,
        reference=text(said, "AcctSvcrRef"),
        reason=reason,
        occurred_at=_time(text(said, "AccptncDtTm")),
        flaw="; ".join(flaws) or None,
        said_at=created,
    )


def _time(said: str | None) -> datetime | None:
    return datetime.fromisoformat(said) if said else None


def _reason(said: Leaves) -> str | None:
    return text(said, "StsRsnInf/Rsn/Cd", "StsRsnInf/Rsn/Prtry")


def _status(code: str | None, reason: str | None) -> ReportStatus | None:
    status = STATUSES.get(code or "")
    return ReportStatus.ACCEPTED if status is ReportStatus.FAILED and reason in DUPLICATES else status
