"""The simulated bank: what it answers to an order file, as it behaves."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from lxml import etree

from simulators import bank
from simulators.bank import Balance, Order, Orders
from simulators.partner_behaviour import Behaviour

NOW = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)
IDS = [UUID(int=number).hex for number in range(1, 4)]
TOLD = Orders("m-1", [Order(each, "176000") for each in IDS])


def answered(folder: Path, **behaviour: float) -> dict[str, list[tuple[str, str, str]]]:
    """(id, word, riel) of each row, by kind of file: report, a later report, statement."""
    seeded = Behaviour.model_validate({"seed": 7, "fail": 0.0, **behaviour})
    bank.answer(TOLD, folder, Balance("000111222", 1, 10**6, 10**6), seeded, NOW)
    names = {"report": "pain002-m-1.xml", "later": "pain002-m-1-2.xml", "paid": "camt053-000111222-1.xml"}
    return {kind: rows(folder / name) for kind, name in names.items() if (folder / name).exists()}


def rows(path: Path) -> list[tuple[str, str, str]]:
    found = []
    for each in etree.parse(path).iter("{*}TxInfAndSts", "{*}TxDtls"):
        named = each.findtext("{*}OrgnlEndToEndId") or each.findtext("{*}Refs/{*}EndToEndId")
        word = each.findtext("{*}TxSts") or each.findtext("{*}CdtDbtInd")
        riel = each.findtext(".//{*}InstdAmt") or each.findtext("{*}Amt")
        found.append((str(named), str(word), str(riel)))
    return found


def said(*words: str, riel: str = "176000") -> list[tuple[str, str, str]]:
    return [(named, word, riel) for named, word in zip(IDS, words, strict=True)]


SETTLED, PAID = said("ACSC", "ACSC", "ACSC"), said("DBIT", "DBIT", "DBIT")
REJECTED = said("RJCT", "RJCT", "RJCT")


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ({}, {"report": SETTLED, "paid": PAID}),
        ({"fail": 1.0}, {"report": REJECTED, "paid": []}),
        ({"expire": 1.0}, {"report": REJECTED, "paid": []}),
        ({"fail": 1.0, "relent": 1.0}, {"report": REJECTED, "later": SETTLED, "paid": PAID}),
        ({"partial": 1.0}, {"report": [], "paid": PAID}),
        ({"twice": 1.0}, {"report": [each for each in SETTLED for _ in range(2)], "paid": PAID}),
        ({"wrong_amount": 1.0}, {"report": said("ACSC", "ACSC", "ACSC", riel="176100"), "paid": PAID}),
        ({"refuse": 1.0}, {"report": []}),
    ],
)
def test_each_behaviour_shows_in_its_files(
    tmp_path: Path, behaviour: dict[str, float], expected: dict[str, Sequence[tuple[str, str, str]]]
) -> None:
    assert answered(tmp_path, **behaviour) == expected


def test_rows_come_late_and_beside_ones_that_nobody_ordered(tmp_path: Path) -> None:
    late = answered(tmp_path, late=0.5)["report"]
    assert (sorted(late), late == SETTLED) == (SETTLED, False)
    beside = answered(tmp_path, unknown=1.0)["report"]
    assert len({named for named, *_ in beside} - set(IDS)) == 3


def test_questions_are_answered_by_what_became_of_the_orders_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "ask-1.csv"
    path.write_text(
        "kind,end_to_end_id,payment_id,amount_khr\n" + "".join(f"inquire,{i},{i},176000\n" for i in IDS)
    )
    asked = bank.read_questions(path)
    assert (asked.message_id, [each.id for each in asked.orders]) == ("ask-1", list(IDS))
    for behaviour, word in (
        ({"fail": 1.0}, "RJCT"),
        ({"fail": 1.0, "relent": 1.0}, "ACSC"),
        ({"fail": 0.0}, "ACSC"),
    ):
        outcomes = bank.ended(asked.orders, Behaviour.model_validate(behaviour))
        assert [each.status for each in outcomes] == [word] * len(IDS)


def test_a_file_that_breaks_off_is_no_xml_any_more(tmp_path: Path) -> None:
    with pytest.raises(etree.XMLSyntaxError):
        answered(tmp_path, cut=1.0)
