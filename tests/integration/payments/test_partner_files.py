"""A bank that is told by files and reports by files, on the real stack."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

import httpx
import pytest
import pytest_asyncio
from lxml import etree

from contracts.household import Account
from services.payments.partners import intake
from services.payments.partners.iso20022.reading import PAIN_001, schema_of
from simulators import bank
from simulators.bank import Balance, Order, Outcome
from tests.conftest import MakeSettings
from tests.integration.payments.conftest import Family, Scene, add_partners, family
from tests.waiting import until
from tonle.stack.secrets import Secrets

pytestmark = pytest.mark.stack
AMOUNT, ENVELOPE = 176_000, 10_000_000
NOW = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)


def banked(household_id: str, number: str = "0123456789") -> Family:
    """A household with an account at the bank."""
    of = family(household_id)
    account = Account(provider="acleda", number=number)
    return replace(of, payee=of.payee.model_copy(update={"account": account}))


def bank_of(secrets: Secrets) -> dict[str, object]:
    """The settings of a bank."""
    return {
        "kind": "files",
        "open_with": secrets.jwk("acleda-encrypt"),
        "debtor_name": "National Social Assistance Fund",
        "debtor_account": "000111222",
        "debtor_bank": "NBC",
    }


@pytest_asyncio.fixture
async def at_bank(scene: Scene, secrets: Secrets, service_settings: MakeSettings) -> AsyncIterator[Scene]:
    """A scene whose second partner is a bank that is told by files."""
    await add_partners(scene, secrets, service_settings, {"acleda": bank_of(secrets)})
    yield scene


async def issue(scene: Scene, *families: Family) -> None:
    await scene.open_cycle(envelope=ENVELOPE)
    await scene.officer("Bopha", "partner.load", "read")
    await scene.approve()
    await scene.send(scene.key(each) for each in families)
    await scene.send(scene.scored(each, AMOUNT) for each in families)
    await scene.settled_down(states={each.household_id: "issued" for each in families})


async def out(scene: Scene) -> list[Path]:
    """The files for the bank, once what waits is written."""

    issued = await scene.db.fetchval("select count(*) from payment")
    await until(lambda: scene.db.fetchval("select count(*) = $1 from outgoing", issued))
    await scene.call("POST", "/partners/acleda/out", by="Bopha")
    await until(
        lambda: scene.db.fetchval("select not exists (select from partner_message where state = 'claimed')")
    )
    found = (await scene.call("GET", "/partners/acleda/out", by="Bopha")).json()
    return [Path(each["file"]) for each in found]


async def load(scene: Scene, path: Path, partner: str = "acleda") -> dict[str, object]:
    """What became of a file, once it is done or refused."""
    answer = await send(scene, path, partner)
    answer.raise_for_status()
    there = f"/partners/{partner}/files/{answer.json()['sha256']}"

    async def ended() -> bool:
        found = (await scene.call("GET", there, by="Bopha")).json()
        return bool(found["state"] != "received")

    await until(ended)
    found: dict[str, object] = (await scene.call("GET", there, by="Bopha")).json()
    return found


async def send(scene: Scene, path: Path, partner: str = "acleda") -> httpx.Response:
    headers = {"Authorization": f"Bearer {scene.tokens['Bopha']}"}
    async with httpx.AsyncClient(verify=False, base_url=scene.service.url, headers=headers) as client:
        return await client.post(f"/partners/{partner}/files", content=path.read_bytes())


async def why(scene: Scene) -> list[str]:
    rows = await scene.db.fetch("select why from partner_row where resolved_at is null order by position")
    return [row["why"] for row in rows]


def answer(path: Path, order: Path, status: Callable[[int], str]) -> Path:
    """The bank's pain.002 about an order file; `status` by place."""
    told = bank.read(order)
    outcomes = [Outcome(each, status(number)) for number, each in enumerate(told.orders)]
    bank.write_report(path, told.message_id, outcomes, NOW)
    return path


async def test_a_payment_goes_to_the_bank_by_file_and_comes_back_settled(
    at_bank: Scene, tmp_path: Path
) -> None:
    async with at_bank.running():
        await issue(at_bank, banked("h-1"), banked("h-2"))
        (order,) = await out(at_bank)
        schema_of(PAIN_001).assertValid(etree.parse(order))
        assert order.stat().st_mode & 0o077 == 0
        assert await at_bank.db.fetchval("select count(*) from outgoing where token is not null") == 0
        found = await load(
            at_bank, answer(tmp_path / "a.xml", order, lambda number: ("ACSC", "RJCT")[number])
        )
        assert (found["state"], found["rows_booked"], found["rows_parked"]) == ("done", 2, 0)
        await until(lambda: _same(at_bank.states(), {"settled", "failed"}))
        assert (await at_bank.balances())["paid"] == AMOUNT


async def _same(states: object, wanted: set[str]) -> bool:
    return set((await states).values()) == wanted  # type: ignore[misc]


async def test_no_more_go_into_a_day_s_files_than_the_bank_takes(at_bank: Scene) -> None:
    bank_options = at_bank.settings.partners["acleda"]
    few = bank_options.model_copy(update={"payments_a_day": 1})
    partners = {**at_bank.settings.partners, "acleda": few}
    at_bank.settings = at_bank.settings.model_copy(update={"partners": partners})
    async with at_bank.running():
        await issue(at_bank, banked("h-1"), banked("h-2"))
        for _ in range(2):
            (order,) = await out(at_bank)
            assert len(bank.read(order).orders) == 1
        assert await at_bank.db.fetchval("select count(*) from outgoing where message_id is null") == 1


async def test_a_file_goes_on_where_a_stopped_service_left_it(
    at_bank: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "CHUNK_ROWS", 1)
    async with at_bank.running():
        await issue(at_bank, *(banked(f"h-{number}") for number in range(5)))
        (order,) = await out(at_bank)
        report = answer(tmp_path / "a.xml", order, lambda _: "ACSC")
        (await send(at_bank, report)).raise_for_status()
        await until(lambda: at_bank.db.fetchval("select rows_done > 0 from partner_file"))
    done = await at_bank.db.fetchval("select rows_done from partner_file")
    async with at_bank.running():
        found = await load(at_bank, report)
        assert (found["state"], found["rows_booked"], found["rows_parked"]) == ("done", 5, 0)
        assert done <= 5
        assert await at_bank.db.fetchval("select count(*) from every_transfer where kind = 'settle'") == 5


async def test_a_file_rejected_whole_fails_each_of_its_payments_once_and_goes_on_after_a_stop(
    at_bank: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "CHUNK_ROWS", 1)
    at_bank.settings.reissue_after_s = 10_000
    async with at_bank.running():
        await issue(at_bank, *(banked(f"h-{number}") for number in range(4)))
        (order,) = await out(at_bank)
        report = tmp_path / "a.xml"
        bank.refuse(report, bank.read(order).message_id, NOW)
        (await send(at_bank, report)).raise_for_status()
        await until(lambda: at_bank.db.fetchval("select rows_done > 0 from partner_file"))
    async with at_bank.running():
        found = await load(at_bank, report)
        assert (found["state"], found["rows_booked"], found["rows_total"]) == ("done", 4, 4)
        assert set((await at_bank.states()).values()) == {"failed"}
        assert await at_bank.db.fetchval("select string_agg(distinct reason, ',') from payment") == "FF01"
        balances = await at_bank.balances()
        assert (balances["in-transit"], balances["envelope"]) == (0, ENVELOPE)
        again = tmp_path / "b.xml"
        again.write_bytes(report.read_bytes() + b"\n")
        assert (await load(at_bank, again))["rows_known"] == 4
        bank.refuse(tmp_path / "c.xml", "nobody-s", NOW)
        await load(at_bank, tmp_path / "c.xml")
        assert await why(at_bank) == [intake.NO_FILE]


async def asked(scene: Scene) -> list[Path]:
    """The files of questions, once what ended was due and its bank is asked about it."""
    waits = "select count(*) = 1 from reissue where waiting = 'partner-answer'"
    await until(lambda: scene.db.fetchval(waits))
    told = "select exists (select from outgoing where kind = 'inquire')"
    await until(lambda: scene.db.fetchval(told))
    written = "select exists (select from partner_message where kind = 'ask' and state = 'told')"

    async def done() -> bool:
        await scene.call("POST", "/partners/acleda/out", by="Bopha")
        return bool(await scene.db.fetchval(written))

    await until(done)
    found = (await scene.call("GET", "/partners/acleda/out", by="Bopha")).json()
    return [Path(each["file"]) for each in found if "ask-" in each["file"]]


@pytest.mark.parametrize(
    ("word", "attempts"), [("RJCT", ["failed", "issued"]), ("ACSC", ["settled"])], ids=["failed", "settled"]
)
async def test_what_a_bank_rejected_is_sent_again_once_a_file_written_after_our_question_says_so(
    at_bank: Scene, tmp_path: Path, word: str, attempts: list[str]
) -> None:
    at_bank.settings.reissue_after_s = 0.1
    async with at_bank.running():
        await issue(at_bank, banked("h-1"))
        (order,) = await out(at_bank)
        await load(at_bank, answer(tmp_path / "a.xml", order, lambda _: "RJCT"))
        (question,) = await asked(at_bank)
        stale = answer(tmp_path / "b.xml", order, lambda _: "RJCT")
        stale.write_bytes(stale.read_bytes() + b"\n")
        assert (await load(at_bank, stale))["rows_known"] == 1
        assert await at_bank.db.fetchval("select waiting from reissue") == "partner-answer"
        said = [Outcome(each, word) for each in bank.read_questions(question).orders]
        bank.write_report(tmp_path / "c.xml", "ask", said, datetime.now(UTC))
        found = await load(at_bank, tmp_path / "c.xml")
        assert (found["rows_booked"], found["rows_parked"]) == (1, 0)
        query = "select array_agg(state order by attempt) from payment"
        await until(lambda: at_bank.db.fetchval(f"select ({query}) = $1", attempts))
        assert await why(at_bank) == []


async def test_a_word_on_the_file_is_for_those_alone_that_have_no_row(at_bank: Scene, tmp_path: Path) -> None:
    async with at_bank.running():
        await issue(at_bank, banked("h-1"), banked("h-2"))
        (order,) = await out(at_bank)
        told = bank.read(order)
        settled = [Outcome(told.orders[0], "ACSC")]
        bank.write_report(tmp_path / "a.xml", told.message_id, settled, NOW, group=("GrpSts=RJCT",))
        found = await load(at_bank, tmp_path / "a.xml")
        assert (found["rows_booked"], found["rows_parked"]) == (2, 0)
        assert sorted((await at_bank.states()).values()) == ["failed", "settled"]


async def test_a_file_loaded_twice_changes_nothing(at_bank: Scene, tmp_path: Path) -> None:
    async with at_bank.running():
        await issue(at_bank, banked("h-1"))
        (order,) = await out(at_bank)
        report = answer(tmp_path / "a.xml", order, lambda _: "ACSC")
        first = await load(at_bank, report)
        again = await send(at_bank, report)
        assert again.status_code == 200
        assert again.json() == first
        resent = tmp_path / "b.xml"
        resent.write_bytes(report.read_bytes().replace(b"</Document>", b"</Document>\n"))
        other = await load(at_bank, resent)
        assert (other["rows_booked"], other["rows_known"], other["rows_parked"]) == (0, 1, 0)
        assert await at_bank.db.fetchval("select count(*) from every_transfer where kind = 'settle'") == 1


async def test_rows_that_cannot_be_true_are_set_aside_and_nothing_moves(
    at_bank: Scene, tmp_path: Path
) -> None:
    async with at_bank.running():
        families = [banked("h-1"), banked("h-2"), banked("h-3"), banked("h-4")]
        await issue(at_bank, *families)
        (order,) = await out(at_bank)
        ids = [each.id for each in bank.read(order).orders]
        said = [
            Outcome(Order(ids[0], str(AMOUNT), "USD"), "ACSC"),
            Outcome(Order(ids[1], f"{AMOUNT}.50"), "ACSC"),
            Outcome(Order(ids[2], str(AMOUNT + 100)), "ACSC"),
            Outcome(Order(ids[3], str(AMOUNT)), "ACSC"),
            Outcome(Order(ids[3], str(AMOUNT)), "RJCT"),
            Outcome(Order(uuid5(UUID(int=0), "nobody's").hex, str(AMOUNT)), "ACSC"),
        ]
        bank.write_report(tmp_path / "a.xml", "m", said, NOW)
        found = await load(at_bank, tmp_path / "a.xml")
        assert (found["rows_booked"], found["rows_parked"]) == (0, 6)
        assert await why(at_bank) == [
            "currency: KHR expected",
            "amount: a fraction of a riel",
            "report: the amount is not the payment's",
            intake.TWICE,
            intake.TWICE,
            "payment: no such payment",
        ]
        tried = (await at_bank.call("POST", "/partners/rows/retry", by="Bopha")).json()
        assert (tried["tried"], tried["booked"]) == (2, 0)
        first = await at_bank.db.fetchrow(
            "select sha256, position from partner_row order by position limit 1"
        )
        assert first is not None
        body = {"partner": "acleda", "file": first[0], "position": first[1], "reason": "sent anew"}
        (await at_bank.call("POST", "/partners/rows/close", body, by="Bopha")).raise_for_status()
        assert len(await why(at_bank)) == 5
        assert set((await at_bank.states()).values()) == {"issued"}
        assert (await at_bank.balances()).get("paid", 0) == 0


async def test_another_partner_s_report_of_a_payment_moves_nothing(at_bank: Scene, tmp_path: Path) -> None:
    async with at_bank.running():
        await issue(at_bank, banked("h-1"))
        (order,) = await out(at_bank)
        await load(at_bank, answer(tmp_path / "a.xml", order, lambda _: "ACSC"), partner="wing")
        assert await why(at_bank) == ["payment: another partner's"]
        assert await at_bank.states() == {"h-1": "issued"}


async def test_a_row_set_aside_is_booked_once_its_reason_is_gone(at_bank: Scene, tmp_path: Path) -> None:
    async with at_bank.running():
        await issue(at_bank, banked("h-1"))
        (order,) = await out(at_bank)
        await at_bank.db.execute("insert into hold (key, reason) values ('h-1', 'a test')")
        await load(at_bank, answer(tmp_path / "a.xml", order, lambda _: "ACSC"))
        assert await why(at_bank) == ["household: an earlier message of it is parked"]
        await at_bank.db.execute("delete from hold")
        done = (await at_bank.call("POST", "/partners/rows/retry", by="Bopha")).json()
        assert (done["tried"], done["booked"]) == (1, 1)
        assert await why(at_bank) == []
        assert await at_bank.states() == {"h-1": "settled"}


async def test_a_file_that_stops_being_valid_books_nothing_of_it(at_bank: Scene, tmp_path: Path) -> None:
    async with at_bank.running():
        await issue(at_bank, banked("h-1"))
        (order,) = await out(at_bank)
        report = answer(tmp_path / "a.xml", order, lambda _: "ACSC")
        report.write_bytes(report.read_bytes().replace(b"</CstmrPmtStsRpt>", b"<Bad/></CstmrPmtStsRpt>"))
        found = await load(at_bank, report)
        assert (found["state"], found["rows_done"]) == ("refused", 0)
        assert await at_bank.states() == {"h-1": "issued"}
        bomb = tmp_path / "bomb.xml"
        bomb.write_text('<!DOCTYPE d [<!ENTITY a "a">]><d>&a;</d>')
        refused = await send(at_bank, bomb)
        assert (refused.status_code, refused.json()["title"]) == (422, "The file can't be taken")


async def test_who_cannot_be_written_into_a_file_failed_and_frees_the_money(at_bank: Scene) -> None:
    at_bank.settings.reissue_after_s, at_bank.settings.attempts_most = 0.1, 2
    async with at_bank.running():
        await issue(at_bank, banked("h-1", number="0" * 40))
        # Nobody is asked about what nobody was told.
        await until(lambda: at_bank.db.fetchval("select waiting = 'attempts' from reissue"))
        assert await at_bank.db.fetchval("select string_agg(state, ' ') from payment") == "failed failed"
        balances = await at_bank.balances()
        assert (balances["in-transit"], balances["envelope"]) == (0, ENVELOPE)
        assert await at_bank.db.fetchval("select sum(inquiries) from payment") == 0


async def test_a_statement_is_kept_once_and_a_return_in_it_is_booked(at_bank: Scene, tmp_path: Path) -> None:
    async with at_bank.running():
        await issue(at_bank, banked("h-1"))
        (order,) = await out(at_bank)
        told = bank.read(order)
        await load(at_bank, answer(tmp_path / "a.xml", order, lambda _: "ACSC"))
        statement = tmp_path / "s.xml"
        paid: Sequence[Outcome] = [Outcome(each, "ACSC") for each in told.orders]
        bank.write_statement(statement, Balance("000111222", 1, AMOUNT, 0), paid, NOW)
        first = await load(at_bank, statement)
        statement.write_bytes(statement.read_bytes() + b"\n")
        again = await load(at_bank, statement)
        assert (first["rows_booked"], again["rows_booked"], again["rows_known"]) == (2, 0, 2)
        text = statement.read_text().replace("DBIT", "CRDT").replace("000111222-1", "000111222-2")
        returned = tmp_path / "r.xml"
        returned.write_text(text.replace("</TxDtls>", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls>"))
        found = await load(at_bank, returned)
        assert (found["rows_booked"], found["rows_parked"]) == (2, 0)
        assert await at_bank.states() == {"h-1": "returned"}
        assert await at_bank.db.fetchval("select confirmed_at is not null from reissue")
        assert await at_bank.db.fetchval("select count(*) from bank_line") == 2
