"""A bank that is told by files: `python -m simulators.bank pain.001.xml --out FOLDER`.

Pays what a pain.001 orders, each end-to-end id once, and writes a pain.002 and a camt.053; as it behaves
(`--behaviour '{"partial": 0.1}'`), not always the truth. Questions (`ask-….csv`) get a pain.002, too. It has
nothing of payments, not even its reader.
"""

import argparse
import csv
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from contracts.payment import ReportStatus
from simulators.partner_behaviour import AMOUNT_OFF_RIEL, Behaviour

ISO = "urn:iso:std:iso:20022:tech:xsd:"
SETTLED, REJECTED = "ACSC", "RJCT"
REASONS = {ReportStatus.FAILED: "AC04", ReportStatus.EXPIRED: "NOAS"}
"""ISO 20022 ExternalStatusReason1Code: a closed account; no answer from the customer."""


class Order(NamedTuple):
    """One credit transfer as the bank reads it; `amount` is the text of whole riel."""

    id: str
    amount: str
    currency: str = "KHR"


class Outcome(NamedTuple):
    """What became of an order: a status code, and the reason of a rejection."""

    order: Order
    status: str
    reason: str | None = None


class Balance(NamedTuple):
    """Riel on the payer's account before and after, and the statement's number."""

    account: str
    sequence: int
    opening: int
    closing: int


@dataclass(frozen=True)
class Orders:
    """A pain.001: its message id and its transfers."""

    message_id: str
    orders: Sequence[Order]


def read(path: Path) -> Orders:
    """A pain.001 as the bank understands it."""
    message_id = ""
    found: list[Order] = []
    for _, element in etree.iterparse(str(path), tag=("{*}MsgId", "{*}CdtTrfTxInf")):
        amount = element.find("{*}Amt/{*}InstdAmt")
        if amount is None:
            message_id = element.text or ""
        else:
            end_to_end_id = element.findtext("{*}PmtId/{*}EndToEndId") or ""
            found.append(Order(end_to_end_id, amount.text or "", amount.get("Ccy") or ""))
            element.clear()
    return Orders(message_id, found)


def read_questions(path: Path) -> Orders:
    """What a bank is asked about, or to stop, named by its file; it stops nothing, since it pays at once."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return Orders(path.stem[:35], [Order(row["end_to_end_id"], row["amount_khr"]) for row in rows])


def pay(orders: Iterable[Order], behaviour: Behaviour) -> Iterator[Outcome]:
    """What becomes of each order; the same ids and seed end the same way."""
    for order in orders:
        ended, _ = behaviour.ends(order.id)
        reason = REASONS.get(ended)
        yield Outcome(order, REJECTED if reason else SETTLED, reason)


def relented(outcomes: Iterable[Outcome], behaviour: Behaviour) -> list[Outcome]:
    """Those of the rejected that are settled after all."""
    rejected = (each for each in outcomes if each.status == REJECTED)
    return [Outcome(each.order, SETTLED) for each in rejected if behaviour.relents(each.order.id)]


def said(outcomes: Sequence[Outcome], behaviour: Behaviour) -> list[Outcome]:
    """What a report says of them, in its order: some is left out, some wrong."""
    found: list[Outcome] = []
    for each in behaviour.garbled(outcomes, lambda each: each.order.id):
        order = each.order
        if behaviour.picks(behaviour.unknown, f"unknown/{order.id}"):
            found.append(each._replace(order=order._replace(id=order.id[::-1])))
        if behaviour.picks(behaviour.wrong_amount, f"amount/{order.id}"):
            off = str(int(order.amount) + AMOUNT_OFF_RIEL)
            order = order._replace(amount=off)
        found.append(each._replace(order=order))
    return found


def refuse(path: Path, message_id: str, at: datetime) -> None:
    """A pain.002 that rejects a whole file."""
    write_report(path, message_id, (), at, group=("GrpSts=RJCT", "StsRsnInf/Rsn/Cd=FF01"))


def write_report(
    path: Path, message_id: str, outcomes: Iterable[Outcome], at: datetime, group: Sequence[str] = ()
) -> None:
    """A pain.002 about them, valid against pain.002.001.12; `group`: facts about the whole file."""
    with path.open("wb") as file, etree.xmlfile(file, encoding="utf-8") as xml:
        xml.write_declaration()
        with xml.element("Document", {"xmlns": f"{ISO}pain.002.001.12"}), xml.element("CstmrPmtStsRpt"):
            xml.write(_element("GrpHdr", f"MsgId=st-{message_id}"[:41], f"CreDtTm={at.isoformat()}"))
            original = (f"OrgnlMsgId={message_id}", "OrgnlMsgNmId=pain.001.001.09")
            xml.write(_element("OrgnlGrpInfAndSts", *original, *group))
            with xml.element("OrgnlPmtInfAndSts"):
                xml.write(_element("OrgnlPmtInfId", value=message_id))
                for outcome in outcomes:
                    xml.write(_status(outcome, at))


def write_statement(path: Path, balance: Balance, outcomes: Iterable[Outcome], at: datetime) -> None:
    """A camt.053 of one day with a line for each settled order, valid against camt.053.001.08."""
    with path.open("wb") as file, etree.xmlfile(file, encoding="utf-8") as xml:
        xml.write_declaration()
        with xml.element("Document", {"xmlns": f"{ISO}camt.053.001.08"}), xml.element("BkToCstmrStmt"):
            name = f"{balance.account}-{balance.sequence}"
            xml.write(_element("GrpHdr", f"MsgId={name}", f"CreDtTm={at.isoformat()}"))
            with xml.element("Stmt"):
                facts = (f"Id={name}", f"ElctrncSeqNb={balance.sequence}", f"CreDtTm={at.isoformat()}")
                for fact in facts:
                    xml.write(_fact(fact))
                xml.write(_element("Acct", f"Id/Othr/Id={balance.account}", "Ccy=KHR"))
                for code, amount in (("OPBD", balance.opening), ("CLBD", balance.closing)):
                    xml.write(_balance(code, amount, at))
                for outcome in outcomes:
                    if outcome.status == SETTLED:
                        xml.write(_entry(outcome.order, at))


def _status(outcome: Outcome, at: datetime) -> etree._Element:
    order = outcome.order
    reason = (f"StsRsnInf/Rsn/Cd={outcome.reason}",) if outcome.reason else ()
    row = _element("TxInfAndSts", f"OrgnlEndToEndId={order.id}", f"TxSts={outcome.status}", *reason)
    row.append(_fact(f"AccptncDtTm={at.isoformat()}"))
    row.append(_fact(f"AcctSvcrRef=b-{order.id[:30]}"))
    original = etree.SubElement(etree.SubElement(etree.SubElement(row, "OrgnlTxRef"), "Amt"), "InstdAmt")
    original.text = order.amount
    original.set("Ccy", order.currency)
    return row


def _entry(order: Order, at: datetime) -> etree._Element:
    entry = etree.Element("Ntry")
    entry.append(_amount(order.amount, order.currency))
    for fact in (
        "CdtDbtInd=DBIT",
        "Sts/Cd=BOOK",
        f"BookgDt/Dt={at.date().isoformat()}",
        "BkTxCd/Prtry/Cd=OUT",
    ):
        _add(entry, fact)
    detail = _element("TxDtls", f"Refs/EndToEndId={order.id}")
    detail.append(_amount(order.amount, order.currency))
    detail.append(_fact("CdtDbtInd=DBIT"))
    etree.SubElement(entry, "NtryDtls").append(detail)
    return entry


def _balance(code: str, riel: int, at: datetime) -> etree._Element:
    balance = _element("Bal", f"Tp/CdOrPrtry/Cd={code}")
    balance.append(_amount(str(abs(riel)), "KHR"))
    _add(balance, "CdtDbtInd=" + ("CRDT" if riel >= 0 else "DBIT"))
    _add(balance, f"Dt/Dt={at.date().isoformat()}")
    return balance


def _amount(value: str, currency: str) -> etree._Element:
    amount = etree.Element("Amt", {"Ccy": currency})
    amount.text = value
    return amount


def _element(name: str, *facts: str, value: str | None = None) -> etree._Element:
    found = etree.Element(name)
    found.text = value
    for fact in facts:
        _add(found, fact)
    return found


def _fact(fact: str) -> etree._Element:
    holder = etree.Element("holder")
    return _add(holder, fact)


def _add(parent: etree._Element, fact: str) -> etree._Element:
    """`Id/Othr/Id=text` below `parent`; returns the topmost new element."""
    path, _, value = fact.partition("=")
    first, *rest = path.split("/")
    top = last = etree.SubElement(parent, first)
    for name in rest:
        last = etree.SubElement(last, name)
    last.text = value
    return top


def answer(
    told: Orders,
    folder: Path,
    account: Balance,
    behaviour: Behaviour,
    now: datetime,
    *,
    before: Container[str] = (),
) -> list[Order] | None:
    """Pay an order file, and write what the bank says of it; `account` is as it was before.

    `before`: ids that were paid by earlier files. Returns what was paid now, None of a file refused whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / f"pain002-{told.message_id}.xml"
    if behaviour.picks(behaviour.refuse, f"refuse/{told.message_id}"):
        refuse(report, told.message_id, now)
        return None
    outcomes = list(pay(told.orders, behaviour))
    write_report(report, told.message_id, said(outcomes, behaviour), now)
    report.write_bytes(behaviour.breaks_off(report.read_bytes(), told.message_id))
    if after_all := relented(outcomes, behaviour):
        write_report(folder / f"pain002-{told.message_id}-2.xml", told.message_id, after_all, now)
    settled = (each for each in (*outcomes, *after_all) if each.status == SETTLED)
    paid = [each for each in settled if each.order.id not in before]
    balance = account._replace(closing=account.opening - sum(int(each.order.amount) for each in paid))
    write_statement(folder / f"camt053-{balance.account}-{balance.sequence}.xml", balance, paid, now)
    return [each.order for each in paid]


def ended(orders: Iterable[Order], behaviour: Behaviour) -> list[Outcome]:
    """What became of orders in the end, where no books were kept: the same as when they were paid."""
    outcomes = list(pay(orders, behaviour))
    after_all = {each.order.id: each for each in relented(outcomes, behaviour)}
    return [after_all.get(each.order.id, each) for each in outcomes]


def main() -> None:
    """Read one order file, or questions; write what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("orders", type=Path, help="a pain.001 file, or ask-….csv")
    parser.add_argument("--out", type=Path, required=True, help="the folder for pain.002 and camt.053")
    parser.add_argument(
        "--behaviour", type=Behaviour.model_validate_json, default=Behaviour(), help="how it errs, as JSON"
    )
    parser.add_argument("--account", default="000111222", help="the payer's account")
    parser.add_argument("--sequence", type=int, default=1, help="the statement's number")
    parser.add_argument("--opening", type=int, default=10**12, help="riel on the account before")
    asked = parser.parse_args()
    if asked.orders.suffix == ".csv":
        questions = read_questions(asked.orders)
        asked.out.mkdir(parents=True, exist_ok=True)
        report = asked.out / f"pain002-{questions.message_id}.xml"
        write_report(
            report, questions.message_id, ended(questions.orders, asked.behaviour), datetime.now(UTC)
        )
        return
    account = Balance(asked.account, asked.sequence, asked.opening, asked.opening)
    answer(read(asked.orders), asked.out, account, asked.behaviour, datetime.now(UTC))


if __name__ == "__main__":
    main()
