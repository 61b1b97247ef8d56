"""Writes pain.001: credit transfers to a bank, one after the other, valid against the official schema."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import BinaryIO, NamedTuple

from lxml import etree

from contracts.payment import PayTo
from services.payments.partners.iso20022.amounts import CURRENCY, compact
from services.payments.partners.iso20022.reading import NAMESPACE, PAIN_001

PURPOSE = "social transfer"
_NAME_MOST, _ACCOUNT_MOST, _ID_MOST = 140, 34, 35
_UNWRITABLE = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_PHONE = re.compile(r"\+(855|[1-9]\d{0,2})(\d{4,14})")


class Debtor(NamedTuple):
    """Whose money it is: name, account number, and the bank's own id (a BIC or a member number)."""

    name: str
    account: str
    bank: str


class Bulk(NamedTuple):
    """A file's own facts. `message_id` names it at the bank for ever, 35 characters at most."""

    message_id: str
    created_at: datetime
    pay_on: date
    debtor: Debtor
    payments: int
    riel: int


class Credit(NamedTuple):
    """One payment to write; `amount` in riel."""

    instruction_id: str
    payment_id: str
    amount: int
    pay_to: PayTo


def flaw(pay_to: PayTo) -> str | None:
    """Why nobody can be paid so by file, as a reason code; None where they can."""
    if not pay_to.name_latin.strip() or _UNWRITABLE.search(pay_to.name_latin):
        return "name-not-writable"
    if (account := pay_to.account) is not None:
        long = len(account.number) > _ACCOUNT_MOST or len(account.provider) > _ID_MOST
        if long or not account.number or not account.provider or _UNWRITABLE.search(account.number):
            return "account-not-writable"
    return None


def write(file: BinaryIO, bulk: Bulk, credits: Iterable[Credit]) -> None:
    """Write a file; memory does not grow with it.

    Raises `ValueError` where the credits are not the `payments` and `riel` that the header has said.
    """
    count = total = 0
    # Elements are made without a namespace: as text they stand in the root's, which is said once.
    with etree.xmlfile(file, encoding="utf-8") as xml:
        xml.write_declaration()
        with xml.element("Document", {"xmlns": NAMESPACE + PAIN_001}), xml.element("CstmrCdtTrfInitn"):
            xml.write(_header(bulk))
            with xml.element("PmtInf"):
                xml.write(*_terms(bulk))
                for credit in credits:
                    count, total = count + 1, total + credit.amount
                    xml.write(_credit(credit))
    if (count, total) != (bulk.payments, bulk.riel):
        raise ValueError(
            f"{count} credits of {total} riel, but the header says {bulk.payments} of {bulk.riel}"
        )


def _header(bulk: Bulk) -> etree._Element:
    header = etree.Element("GrpHdr")
    _add(header, "MsgId", bulk.message_id)
    _add(header, "CreDtTm", bulk.created_at.isoformat(timespec="seconds"))
    _add(header, "NbOfTxs", str(bulk.payments))
    _add(header, "CtrlSum", str(bulk.riel))
    _add(header, "InitgPty/Nm", bulk.debtor.name)
    return header


def _terms(bulk: Bulk) -> Iterable[etree._Element]:
    terms = etree.Element("PmtInf")
    _add(terms, "PmtInfId", bulk.message_id)
    _add(terms, "PmtMtd", "TRF")
    _add(terms, "BtchBookg", "true")
    _add(terms, "NbOfTxs", str(bulk.payments))
    _add(terms, "CtrlSum", str(bulk.riel))
    _add(terms, "PmtTpInf/CtgyPurp/Cd", "SSBE")  # social security benefit
    _add(terms, "ReqdExctnDt/Dt", bulk.pay_on.isoformat())
    _add(terms, "Dbtr/Nm", bulk.debtor.name)
    _add(terms, "DbtrAcct/Id/Othr/Id", bulk.debtor.account)
    _add(terms, "DbtrAgt/FinInstnId/Othr/Id", bulk.debtor.bank)
    return list(terms)


def _credit(credit: Credit) -> etree._Element:
    """What the bank needs and no more: a phone only where there is no account to pay into."""
    found = etree.Element("CdtTrfTxInf")
    names = etree.SubElement(found, "PmtId")
    _add(names, "InstrId", compact(credit.instruction_id))
    _add(names, "EndToEndId", compact(credit.payment_id))
    amount = _add(found, "Amt/InstdAmt", str(credit.amount))
    amount.set("Ccy", CURRENCY)
    account = credit.pay_to.account
    if account is not None:
        _add(found, "CdtrAgt/FinInstnId/Othr/Id", account.provider)
    payee = etree.SubElement(found, "Cdtr")
    _add(payee, "Nm", credit.pay_to.name_latin.strip()[:_NAME_MOST])
    if account is not None:
        _add(found, "CdtrAcct/Id/Othr/Id", account.number)
    elif known := _PHONE.fullmatch(credit.pay_to.phone or ""):
        _add(payee, "CtctDtls/MobNb", f"+{known[1]}-{known[2]}")
    _add(found, "RmtInf/Ustrd", PURPOSE)
    return found


def _add(parent: etree._Element, path: str, value: str) -> etree._Element:
    for name in path.split("/"):
        parent = etree.SubElement(parent, name)
    parent.text = value
    return parent
