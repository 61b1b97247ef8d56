"""A bank that is told by files: `python -m simulators.bank pain.001.xml --out FOLDER`.

Pays what a pain.001 orders, each end-to-end id once, and writes a pain.002 and a camt.053. It shares nothing
with payments, not even its reader.
"""

import argparse
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from lxml import etree

ISO = "urn:iso:std:iso:20022:tech:xsd:"
SETTLED, REJECTED = "ACSC", "RJCT"


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


def pay(orders: Iterable[Order], fail_share: float, seed: int) -> Iterator[Outcome]:
    """Settles, but for a share that is rejected; the same ids and seed end the same way."""
    for order in orders:
        drawn = random.Random(f"{seed}/{order.id}").random()  # noqa: S311 - a simulation
        yield Outcome(order, REJECTED, "AC04") if drawn < fail_share else Outcome(order, SETTLED)


def write_report(path: Path, message_id: str, outcomes: Iterable[Outcome], at: datetime) -> None:
    """A pain.002 about them, valid against pain.002.001.12."""
    with path.open("wb") as file, etree.xmlfile(file, encoding="utf-8") as xml:
        xml.write_declaration()
        with xml.element("Document", {"xmlns": f"{ISO}pain.002.001.12"}), xml.element("CstmrPmtStsRpt"):
            xml.write(_element("GrpHdr", f"MsgId=st-{message_id}"[:41], f"CreDtTm={at.isoformat()}"))
            original = (f"OrgnlMsgId={message_id}", "OrgnlMsgNmId=pain.001.001.09")
            xml.write(_element("OrgnlGrpInfAndSts", *original))
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


def main() -> None:
    """Read one order file; write what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("orders", type=Path, help="a pain.001 file")
    parser.add_argument("--out", type=Path, required=True, help="the folder for pain.002 and camt.053")
    parser.add_argument("--fail-share", type=float, default=0.01, help="how many are rejected (0 to 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--account", default="000111222", help="the payer's account")
    parser.add_argument("--sequence", type=int, default=1, help="the statement's number")
    parser.add_argument("--opening", type=int, default=10**12, help="riel on the account before")
    asked = parser.parse_args()
    told, now = read(asked.orders), datetime.now(UTC)
    outcomes = list(pay(told.orders, asked.fail_share, asked.seed))
    paid = sum(int(each.order.amount) for each in outcomes if each.status == SETTLED)
    balance = Balance(asked.account, asked.sequence, asked.opening, asked.opening - paid)
    asked.out.mkdir(parents=True, exist_ok=True)
    write_report(asked.out / f"pain002-{told.message_id}.xml", told.message_id, outcomes, now)
    write_statement(asked.out / f"camt053-{asked.account}-{asked.sequence}.xml", balance, outcomes, now)


if __name__ == "__main__":
    main()
