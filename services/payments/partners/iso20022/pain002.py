"""Reads pain.002: what a bank says of each payment, row by row."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from contracts.payment import ReportStatus
from services.payments.partners.iso20022.amounts import Flaw, riel, spread
from services.payments.partners.iso20022.reading import PAIN_002, elements, leaves, text

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
_ROWS = ("TxInfAndSts",)


class Said(NamedTuple):
    """One row. `amount` in riel, None where the bank repeats none; `flaw` says why it can't be taken.

    `occurred_at` has no offset where the bank writes none.
    """

    payment_id: str | None
    status: ReportStatus | None
    amount: int | None
    reference: str | None
    reason: str | None
    occurred_at: datetime | None
    flaw: str | None = None


def read(path: Path) -> Iterator[Said]:
    """The rows of a file, in order. Raises `FileRefused` where it stops being valid."""
    for event in elements(path, PAIN_002, begin=(), end=_ROWS):
        yield _said(event.element)


def whole(path: Path) -> str | None:
    """What the bank says of a whole file of ours: its status code, where it names no payment singly."""
    status = None
    for event in elements(path, PAIN_002, begin=(), end=("OrgnlGrpInfAndSts", "TxInfAndSts")):
        if event.tag == "TxInfAndSts":
            return None
        status = text(leaves(event.element), "GrpSts")
    return status


def _said(row: etree._Element) -> Said:
    said = leaves(row)
    payment, code = text(said, "OrgnlEndToEndId"), text(said, "TxSts")
    flaws, amount, status = [], None, STATUSES.get(code or "")
    if (found := said.get("OrgnlTxRef/Amt/InstdAmt")) is not None:
        try:
            amount = riel(found)
        except Flaw as error:
            flaws.append(str(error))
    if payment is None:
        flaws.append("payment: OrgnlEndToEndId is missing")
    if status is None:
        flaws.append("status: TxSts is missing" if code is None else "status: a TxSts we do not know")
    at = text(said, "AccptncDtTm")
    return Said(
        payment_id=spread(payment) if payment is not None else None,
        status=status,
        amount=amount,
        reference=text(said, "AcctSvcrRef"),
        reason=text(said, "StsRsnInf/Rsn/Cd", "StsRsnInf/Rsn/Prtry"),
        occurred_at=datetime.fromisoformat(at) if at else None,
        flaw="; ".join(flaws) or None,
    )
