"""Files for banks and from them: valid against the official schemas, read row by row, and never trusted."""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.household import Account
from contracts.payment import PayTo, ReportStatus
from services.payments.partners.iso20022 import camt, pain001, pain002, reading
from services.payments.partners.iso20022.camt import Line, Statement
from services.payments.partners.iso20022.pain001 import Bulk, Credit, Debtor
from services.payments.partners.iso20022.pain002 import Whole
from services.payments.partners.iso20022.reading import CAMT_053, PAIN_001, PAIN_002, FileRefused
from simulators import bank
from simulators.bank import Balance, Order, Outcome

NOW = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)
DEBTOR = Debtor("National Social Assistance", "000111222", "NBCAKHPP")
PAYEE = PayTo(name_km="សុខ ដារ៉ា", name_latin="Sok Dara", phone="+85512345678")
WITH_ACCOUNT = PAYEE.model_copy(update={"account": Account(provider="acleda", number="0123456789")})
Write = Callable[[str], Path]
_TEXT = st.text(st.characters(codec="utf-8"), max_size=200)


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Write a file and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "file.xml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def written(orders: Sequence[Credit]) -> bytes:
    bulk = Bulk("m-1", NOW, date(2026, 11, 30), DEBTOR, len(orders), sum(each.amount for each in orders))
    out = io.BytesIO()
    pain001.write(out, bulk, orders)
    return out.getvalue()


def credit(number: int = 1, amount: int = 176_000, pay_to: PayTo = WITH_ACCOUNT) -> Credit:
    return Credit(str(UUID(int=number + 10**6)), str(UUID(int=number)), amount, pay_to)


# -- out -------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 10**12), _TEXT, _TEXT, st.booleans()), min_size=1, max_size=5))
def test_whatever_can_be_paid_is_written_as_a_valid_pain_001_that_reads_back(
    wanted: list[tuple[int, str, str, bool]],
) -> None:
    orders = []
    for number, (amount, name, account, banked) in enumerate(wanted):
        held = Account(provider="acleda", number=account) if banked else None
        pay_to = PayTo(name_km="-", name_latin=name, phone="+85512345678", account=held)
        if pain001.flaw(pay_to) is None:
            orders.append(credit(number, amount, pay_to))
    if not orders:
        return
    document = etree.fromstring(written(orders))
    reading.schema_of(PAIN_001).assertValid(document)
    read = [
        (row.findtext("{*}PmtId/{*}EndToEndId"), row.findtext("{*}Amt/{*}InstdAmt"))
        for row in document.iter("{*}CdtTrfTxInf")
    ]
    assert read == [(UUID(each.payment_id).hex, str(each.amount)) for each in orders]


def test_a_bank_learns_the_account_or_the_phone_and_never_both() -> None:
    text = written([credit(1), credit(2, pay_to=PAYEE)]).decode()
    with_account, with_phone = text.split("<CdtTrfTxInf>")[1:]
    assert "0123456789" in with_account
    assert "12345678</MobNb>" not in with_account
    assert "+855-12345678" in with_phone
    assert "សុខ" not in text


def test_the_same_payments_make_the_same_bytes() -> None:
    assert written([credit(1), credit(2)]) == written([credit(1), credit(2)])


def test_a_header_that_counts_otherwise_is_noticed() -> None:
    bulk = Bulk("m-1", NOW, date(2026, 11, 30), DEBTOR, 2, 176_000)
    with pytest.raises(ValueError, match="1 credits of 176000 riel, but the header says 2"):
        pain001.write(io.BytesIO(), bulk, [credit()])


# -- in --------------------------------------------------------------------------------------------


def report(file: Write, *outcomes: Outcome) -> Path:
    path = file("")
    bank.write_report(path, "m-1", outcomes, NOW)
    return path


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ACSC", ReportStatus.SETTLED),
        ("ACCC", ReportStatus.SETTLED),
        ("ACSP", ReportStatus.ACCEPTED),
        ("PDNG", ReportStatus.ACCEPTED),
        ("RJCT", ReportStatus.FAILED),
        ("CANC", ReportStatus.CANCELLED),
    ],
)
def test_a_status_code_becomes_a_report(file: Write, code: str, status: ReportStatus) -> None:
    path = report(file, Outcome(Order(UUID(int=7).hex, "176000.00"), code, "AC04"))
    reading.check(path, reading.message_of(path))
    (row,) = pain002.rows(path)
    assert (row.payment_id, row.status, row.amount, row.reason) == (str(UUID(int=7)), status, 176_000, "AC04")
    assert row.flaw is None
    assert row.occurred_at == NOW


@pytest.mark.parametrize(
    ("order", "code", "flaw"),
    [
        (Order("1", "10", "USD"), "ACSC", "currency: KHR expected"),
        (Order("1", "10.50"), "ACSC", "amount: a fraction of a riel"),
        (Order("1", "10"), "XXXX", "status: a TxSts we do not know"),
    ],
)
def test_a_row_that_cannot_be_taken_says_why_and_its_neighbour_is_read(
    file: Write, order: Order, code: str, flaw: str
) -> None:
    path = report(file, Outcome(order, code), Outcome(Order("2", "10"), "ACSC"))
    bad, good = pain002.rows(path)
    assert (bad.flaw, good.flaw) == (flaw, None)


@pytest.mark.parametrize("code", sorted(pain002.DUPLICATES))
def test_a_bank_that_has_a_payment_already_has_not_failed_it(file: Write, code: str) -> None:
    (row,) = pain002.rows(report(file, Outcome(Order("1", "10"), "RJCT", code)))
    assert (row.status, row.flaw) == (ReportStatus.ACCEPTED, None)


A_FLAW = "status: a GrpSts or PmtInfSts we do not know"


@pytest.mark.parametrize(
    ("group", "block", "word"),
    [
        ("", "", None),
        ("<GrpSts>RJCT</GrpSts>", "", (ReportStatus.FAILED, None, None)),
        (
            "<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf>",
            "",
            (ReportStatus.FAILED, "FF01", None),
        ),
        (
            "<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>DU01</Cd></Rsn></StsRsnInf>",
            "",
            (ReportStatus.ACCEPTED, "DU01", None),
        ),
        ("<GrpSts>ACCP</GrpSts>", "", (ReportStatus.ACCEPTED, None, None)),
        ("<GrpSts>ACSC</GrpSts>", "", (ReportStatus.ACCEPTED, None, None)),
        ("<GrpSts>PART</GrpSts>", "", None),
        ("<GrpSts>XXXX</GrpSts>", "", (None, None, A_FLAW)),
        ("<GrpSts>PART</GrpSts>", "<PmtInfSts>RJCT</PmtInfSts>", (ReportStatus.FAILED, None, None)),
        ("<GrpSts>ACCP</GrpSts>", "<PmtInfSts>RJCT</PmtInfSts>", (ReportStatus.FAILED, None, None)),
        ("<GrpSts>RJCT</GrpSts>", "<PmtInfSts>ACCP</PmtInfSts>", (ReportStatus.ACCEPTED, None, None)),
    ],
)
@pytest.mark.parametrize("rows", [0, 2])
def test_a_word_on_a_whole_file_comes_after_its_rows_and_the_narrower_word_stands(
    file: Write, group: str, block: str, word: tuple[ReportStatus | None, str | None, str | None], rows: int
) -> None:
    path = report(file, *(Outcome(Order(str(number), "10"), "ACSP") for number in range(rows)))
    told = path.read_text().replace("</OrgnlMsgNmId>", f"</OrgnlMsgNmId>{group}")
    path.write_text(told.replace("</OrgnlPmtInfId>", f"</OrgnlPmtInfId>{block}"))
    found = list(pain002.named(path))
    assert found[:rows] == [each.payment_id for each in pain002.rows(path)]
    wholes = [Whole("m-1", word[0], word[1], NOW, word[2])] if word else []
    assert found[rows:] == wholes


def test_a_statement_gives_its_balances_then_its_lines(file: Write) -> None:
    path = file("")
    paid = [Outcome(Order(UUID(int=number).hex, "100"), "ACSC") for number in (1, 2)]
    bank.write_statement(path, Balance("acc", 4, 1_000, 800), paid, NOW)
    reading.check(path, reading.message_of(path))
    statement, *lines = camt.read(path, CAMT_053)
    assert statement == Statement("acc-4", 4, "acc", 1_000, 800, NOW.date())
    assert [
        (each.account, each.payment_id, each.amount, each.incoming)
        for each in lines
        if isinstance(each, Line)
    ] == [
        ("acc", str(UUID(int=1)), 100, False),
        ("acc", str(UUID(int=2)), 100, False),
    ]


ENTRY = (
    '<Ntry><Amt Ccy="KHR">300</Amt><CdtDbtInd>{direction}</CdtDbtInd>'
    "<Sts><Cd>BOOK</Cd></Sts><BkTxCd/>{details}</Ntry>"
)


def entry(file: Write, details: str = "", direction: str = "DBIT") -> list[Line]:
    """The lines of a statement with this one entry."""
    path = file("")
    bank.write_statement(path, Balance("acc", 1, 0, 0), [], NOW)
    made = ENTRY.format(direction=direction, details=details)
    path.write_text(path.read_text().replace("</Stmt>", f"{made}</Stmt>"))
    reading.check(path, CAMT_053)
    assert camt.count(path, CAMT_053) == len(list(camt.read(path, CAMT_053)))
    return [each for each in camt.read(path, CAMT_053) if isinstance(each, Line)]


def test_a_batch_booked_as_one_sum_is_one_line_that_names_our_file(file: Write) -> None:
    batch = "<NtryDtls><Btch><PmtInfId>m-1</PmtInfId><NbOfTxs>3</NbOfTxs></Btch></NtryDtls>"
    (line,) = entry(file, batch)
    assert (line.batch, line.payment_id, line.amount, line.incoming) == ("m-1", None, 300, False)


def test_the_details_of_a_batch_are_lines_of_their_own(file: Write) -> None:
    detail = '<TxDtls><Refs><EndToEndId>{}</EndToEndId></Refs><Amt Ccy="KHR">{}</Amt></TxDtls>'
    rows = detail.format("a", 100) + detail.format("b", 200)
    lines = entry(file, f"<NtryDtls><Btch><PmtInfId>m-1</PmtInfId></Btch>{rows}</NtryDtls>")
    assert [(each.payment_id, each.amount, each.batch) for each in lines] == [
        ("a", 100, None),
        ("b", 200, None),
    ]


def test_a_return_and_a_fee_are_seen_as_such(file: Write) -> None:
    returned = (
        '<NtryDtls><TxDtls><Refs><EndToEndId>a</EndToEndId></Refs><Chrgs><TtlChrgsAndTaxAmt Ccy="KHR">5'
        "</TtlChrgsAndTaxAmt></Chrgs><RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls></NtryDtls>"
    )
    (line,) = entry(file, returned, direction="CRDT")
    assert (line.incoming, line.returned, line.reason, line.fee, line.amount) == (True, True, "AC04", 5, 300)


# -- never trusted ---------------------------------------------------------------------------------

BOMB = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{inner};" * 10}">' for inner, name in zip("abcdefgh", "bcdefghi", strict=True)
)
BODY = f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{PAIN_002}">{{}}</Document>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB + "]>" + BODY.format("&i;"), "It declares a document type"),
        (
            '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + BODY.format("&x;"),
            "It declares a document type",
        ),
        ("not a file", "It is no XML file"),
        ("", "It is no XML file"),
        ('<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.99"/>', "It is no message we read"),
    ],
)
def test_a_file_that_is_a_danger_or_no_message_is_refused(file: Write, text: str, reason: str) -> None:
    with pytest.raises(FileRefused) as refused:
        reading.message_of(file(text))
    assert refused.value.reason == reason


def test_a_file_not_valid_against_its_schema_is_refused_without_its_words(file: Write) -> None:
    path = report(file, Outcome(Order("1", "10"), "ACSC"))
    path.write_text(path.read_text().replace("<TxSts>", "<Name>Sok Dara</Name><TxSts>"))
    with pytest.raises(FileRefused) as refused:
        reading.check(path, PAIN_002)
    assert "Sok" not in refused.value.reason
    assert refused.value.reason.startswith("line ")
