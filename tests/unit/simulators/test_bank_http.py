"""The simulated bank's counter: what is brought twice, or is no order, moves nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from simulators import bank_http
from simulators.bank_http import Counter
from simulators.partner_behaviour import Behaviour
from tests.unit.simulators.test_bank import rows

Http = TestClient[web.Request, web.Application]
NOW = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)
ORDER = """<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn>
<GrpHdr><MsgId>{name}</MsgId></GrpHdr><PmtInf>{transfers}</PmtInf></CstmrCdtTrfInitn></Document>"""
TRANSFER = """<CdtTrfTxInf><PmtId><EndToEndId>{id}</EndToEndId></PmtId>
<Amt><InstdAmt Ccy="KHR">176000</InstdAmt></Amt></CdtTrfTxInf>"""


def order(name: str, *ids: str) -> str:
    return ORDER.format(name=name, transfers="".join(TRANSFER.format(id=each) for each in ids))


@asynccontextmanager
async def a_counter(folder: Path, **behaviour: float) -> AsyncIterator[Http]:
    seeded = Behaviour.model_validate({"fail": 0.0, **behaviour})
    settings = bank_http.Settings(data_dir=folder, partner_behaviour=seeded)
    with closing(Counter(settings, lambda: NOW)) as counter:
        async with TestClient(TestServer(bank_http.web_app(counter))) as http:
            yield http


async def bring(http: Http, content: str) -> list[str]:
    answer = await http.post("/files", data=content.encode())
    assert answer.status == 200
    names: list[str] = await answer.json()
    return names


async def fetched(http: Http, folder: Path, name: str) -> list[tuple[str, str, str]]:
    path = folder / "fetched.xml"
    path.write_bytes(await (await http.get(f"/files/{name}")).read())
    return rows(path)


async def summary(http: Http) -> tuple[int, int, int]:
    files, payments, riel = (await (await http.get("/summary")).json()).values()
    return files, payments, riel


async def test_what_is_brought_is_answered_by_a_report_and_a_statement(tmp_path: Path) -> None:
    async with a_counter(tmp_path) as http:
        report, statement = await bring(http, order("m-1", "a", "b"))
        assert (report, statement) == ("pain002-m-1.xml", "camt053-000111222-1.xml")
        assert await fetched(http, tmp_path, report) == [(id_, "ACSC", "176000") for id_ in "ab"]
        assert await fetched(http, tmp_path, statement) == [(id_, "DBIT", "176000") for id_ in "ab"]
        assert await summary(http) == (1, 2, 352_000)


async def test_a_file_brought_again_after_a_restart_is_answered_as_before_and_pays_nobody(
    tmp_path: Path,
) -> None:
    async with a_counter(tmp_path) as http:
        first = await bring(http, order("m-1", "a"))
    async with a_counter(tmp_path) as http:
        assert await bring(http, order("m-1", "a")) == first
        assert await summary(http) == (1, 1, 176_000)


async def test_one_in_two_files_is_paid_once_and_reported_in_both(tmp_path: Path) -> None:
    async with a_counter(tmp_path) as http:
        await bring(http, order("m-1", "a"))
        report, statement = await bring(http, order("m-2", "a", "b"))
        assert statement == "camt053-000111222-2.xml"
        assert [id_ for id_, *_ in await fetched(http, tmp_path, report)] == ["a", "b"]
        assert [id_ for id_, *_ in await fetched(http, tmp_path, statement)] == ["b"]
        balances = (tmp_path / "said" / statement).read_text()
        assert "999999824000" in balances
        assert "999999648000" in balances


async def test_a_file_refused_whole_is_in_no_statement(tmp_path: Path) -> None:
    async with a_counter(tmp_path, refuse=1.0) as http:
        assert await bring(http, order("m-1", "a")) == ["pain002-m-1.xml"]
        assert await summary(http) == (1, 0, 0)


def questions(*ids: str) -> str:
    lines = ["kind,end_to_end_id,payment_id,amount_khr", *(f"inquire,{each},{each},176000" for each in ids)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("behaviour", "word"), [({}, "ACSC"), ({"fail": 1.0}, "RJCT"), ({"fail": 1.0, "relent": 1.0}, "ACSC")]
)
async def test_a_question_is_answered_from_the_books_and_never_heard_of_in_silence(
    tmp_path: Path, behaviour: dict[str, float], word: str
) -> None:
    async with a_counter(tmp_path, **behaviour) as http:
        await bring(http, order("m-1", "a", "b"))
        (report,) = await bring(http, questions("b", "c"))
        assert await fetched(http, tmp_path, report) == [("b", word, "176000")]
        assert await summary(http) == (1, 2 * (word == "ACSC"), 352_000 * (word == "ACSC"))


async def test_what_was_refused_with_its_file_is_rejected_when_it_is_asked_about(tmp_path: Path) -> None:
    async with a_counter(tmp_path, refuse=1.0) as http:
        await bring(http, order("m-1", "a"))
        (report,) = await bring(http, questions("a"))
        assert await fetched(http, tmp_path, report) == [("a", "RJCT", "176000")]


@pytest.mark.parametrize("content", ["no xml", "<a/>", order("../../out", "a")])
async def test_what_is_no_order_is_refused(tmp_path: Path, content: str) -> None:
    async with a_counter(tmp_path) as http:
        assert (await http.post("/files", data=content.encode())).status == 422
        assert await summary(http) == (0, 0, 0)
    assert [path.name for path in (tmp_path / "said").iterdir()] == []
