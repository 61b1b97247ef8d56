"""Reads camt.053 and camt.054: a bank's statements and notices, entry by entry, detail by detail."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from services.payments.partners.iso20022.amounts import Flaw, riel, spread
from services.payments.partners.iso20022.reading import Event, Leaves, elements, leaves, text

_HEADS = ("Stmt", "Ntfctn")
_BEGINS, _ENDS = ("Ntry", "NtryDtls"), ("TxDtls", "Ntry", "Btch", *_HEADS)
_FAMILY = "BkTxCd/Domn/Fmly/SubFmlyCd"
_FEES = frozenset({"CHRG", "COMM", "FEES"})  # sub-families of the ISO 20022 bank transaction code
_BATCHES = ("Refs/PmtInfId", "Refs/MsgId", "PmtInfId", "MsgId")


class Statement(NamedTuple):
    """One statement or notice of one account. Balances in riel, below zero where the account is overdrawn.

    `sequence`: the bank's own number, one more each time; `opening` and `closing` are None in a notice.
    """

    statement_id: str
    sequence: int | None
    account: str
    opening: int | None
    closing: int | None
    day: date | None
    flaw: str | None = None


class Line(NamedTuple):
    """Money that moved: a detail of an entry, or an entry without details. `amount` in riel.

    `batch` is the id of a file of ours that was booked as one sum; `fee`: riel the bank kept for
    itself, all of it where the entry is a fee.
    """

    account: str
    statement_id: str
    payment_id: str | None
    batch: str | None
    amount: int
    incoming: bool
    returned: bool
    booked: bool
    day: date | None
    fee: int
    reference: str | None
    reason: str | None
    flaw: str | None = None


class _Entry(NamedTuple):
    """What an entry says of all its details."""

    leaves: Leaves
    incoming: bool
    reversed: bool
    booked: bool
    day: date | None


class _Reading:
    """Where in a file the reading stands."""

    def __init__(self) -> None:
        self.owner: Statement | None = None
        self.entry: _Entry | None = None
        self.details = 0

    def after(self, event: Event) -> Iterator[Statement | Line]:
        if event.begins:
            yield from self._begin(event)
        elif event.tag == "Btch" and self.entry:
            batch = leaves(event.element)
            self.entry = self.entry._replace(leaves={**self.entry.leaves, **batch})
        elif event.tag == "TxDtls":
            self.details += 1
            yield self._line(event.element)
        elif event.tag == "Ntry":
            if not self.details:
                self._enter(event.element)
                yield self._line(None)
        elif event.tag in _HEADS:
            if self.owner is None:
                yield _statement(event.element)
            self.owner = None

    def _begin(self, event: Event) -> Iterator[Statement]:
        if event.tag == "Ntry":
            self.details = 0
            head = event.element.getparent()
            if self.owner is None and head is not None:
                self.owner = _statement(head)
                yield self.owner
        elif not self.details:
            entry = event.element.getparent()
            if entry is not None:
                self._enter(entry)

    def _enter(self, entry: etree._Element) -> None:
        said = leaves(entry)
        day = text(said, "BookgDt/Dt", "BookgDt/DtTm")
        self.entry = _Entry(
            {**(self.entry.leaves if self.entry and "NtryDtls" in said else {}), **said},
            incoming=text(said, "CdtDbtInd") == "CRDT",
            reversed=text(said, "RvslInd") == "true",
            booked=(text(said, "Sts/Cd") or "BOOK") == "BOOK",
            day=datetime.fromisoformat(day).date() if day else None,
        )

    def _line(self, detail: etree._Element | None) -> Line:
        entry, owner = self.entry, self.owner
        if entry is None or owner is None:
            raise ValueError("a line outside of an entry: the file was not checked")
        own = entry.leaves if detail is None else leaves(detail)
        direction = text(own, "CdtDbtInd")
        payment = text(own, "Refs/EndToEndId")
        amount, fee, flaw = _amounts(own, entry.leaves)
        if text(own, _FAMILY) in _FEES or text(entry.leaves, _FAMILY) in _FEES:
            fee = amount
        return Line(
            account=owner.account,
            statement_id=owner.statement_id,
            payment_id=spread(payment) if payment else None,
            batch=None if payment else text({**entry.leaves, **own}, *_BATCHES),
            amount=amount,
            incoming=direction == "CRDT" if direction else entry.incoming,
            returned="RtrInf" in own or entry.reversed,
            booked=entry.booked,
            day=entry.day or owner.day,
            fee=fee,
            reference=text(own, "Refs/AcctSvcrRef", "AcctSvcrRef"),
            reason=text(own, "RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry"),
            flaw=flaw,
        )


def count(path: Path, message: str) -> int:
    """How many statements and lines a file has, none looked at. Raises `FileRefused` as `read` does."""
    total = details = 0
    for event in elements(path, message, begin=(), end=("TxDtls", "Ntry", *_HEADS)):
        if event.tag == "TxDtls":
            details += 1
        elif event.tag == "Ntry":
            total += details or 1
            details = 0
        else:
            total += 1
    return total


def read(path: Path, message: str, *, checked: bool = False) -> Iterator[Statement | Line]:
    """Statements, each followed by its lines.

    Raises `FileRefused` where the file stops being valid against `message`'s schema, unless it was `checked`.
    """
    reading = _Reading()
    for event in elements(path, message, begin=_BEGINS, end=_ENDS, checked=checked):
        yield from reading.after(event)


def _statement(head: etree._Element) -> Statement:
    said, balances, flaw = leaves(head), {}, None
    for each in head.iterfind("{*}Bal"):
        balance = leaves(each)
        code = text(balance, "Tp/CdOrPrtry/Cd") or ""
        try:
            sign = -1 if text(balance, "CdtDbtInd") == "DBIT" else 1
            balances[code] = sign * riel(balance["Amt"])
        except Flaw as error:
            flaw = f"balance: {error}"
    sequence = text(said, "ElctrncSeqNb", "LglSeqNb")
    day = text(said, "FrToDt/ToDtTm", "CreDtTm")
    return Statement(
        statement_id=text(said, "Id") or "",
        sequence=int(sequence) if sequence and sequence.isdigit() else None,
        account=text(said, "Acct/Id/Othr/Id", "Acct/Id/IBAN") or "",
        opening=balances.get("OPBD", balances.get("PRCD")),
        closing=balances.get("CLBD"),
        day=datetime.fromisoformat(day).date() if day else None,
        flaw=flaw,
    )


def _amounts(own: Leaves, entry: Leaves) -> tuple[int, int, str | None]:
    """(amount, fee, flaw): riel, or why they are none."""
    try:
        fee = own.get("Chrgs/TtlChrgsAndTaxAmt")
        amount = own.get("Amt")
        return riel(entry["Amt"] if amount is None else amount), 0 if fee is None else riel(fee), None
    except Flaw as error:
        return 0, 0, str(error)
