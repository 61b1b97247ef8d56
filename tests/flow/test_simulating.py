"""`tonle simulate` on the finished run: it says what the stream decided, and leaves nothing behind."""

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest
import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from typer.testing import CliRunner, Result

from services.eligibility import programmes
from services.eligibility.suppression import shown
from tests.flow.conftest import Run
from tonle import archive, simulate, terminal
from tonle.stack.access import ADMIN
from tonle.stack.postgres import SUPERUSER

pytestmark = pytest.mark.stack
COVID = Path(programmes.__file__).parent / "programmes" / "covid-19-cash-transfer.yaml"
JUNE = "2023-06-01"


@pytest.fixture
def proposed(tmp_path: Path) -> Path:
    """Poor 1 in the country get 6,000 riel more a member."""
    text = COVID.read_text().replace("riel: 24_000, evidence: memory", "riel: 30_000, evidence: memory")
    file = tmp_path / "proposed.yaml"
    file.write_text(text)
    return file


@pytest.fixture
def tonle(run: Run, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv(terminal.HOME_VARIABLE, str(run.data_dir))
    return CliRunner()


async def ask(tonle: CliRunner, *words: str | Path) -> Result:
    """`tonle simulate` or `tonle archive`, in a thread, as the stack lives in this process."""
    application = typer.Typer()
    simulate.mount(application)
    archive.mount(application)
    return await asyncio.to_thread(tonle.invoke, application, list(map(str, words)))


async def test_the_lab_says_of_topics_and_archive_what_the_stream_decided(
    run: Run, tonle: CliRunner, proposed: Path, tmp_path: Path
) -> None:
    before = await ends(run)
    june = ("simulate", proposed, "--until", JUNE)
    reports = [json.loads((await ask(tonle, *june, "--json")).stdout)]
    written = await ask(tonle, "archive", "write", tmp_path / "archive")
    assert written.exit_code == 0, written.stderr
    told: list[str | Path] = [*june, "--from", "archive", "--archive", tmp_path / "archive"]
    reports.append(json.loads((await ask(tonle, *told, "--json")).stdout))
    summary = await stream(run)
    for report in reports:
        (day,) = report["days"]
        assert day["current"]["households"] == shown(summary["eligible"])
        assert day["gaining"]["riel"] > 0
        assert (day["losing"]["households"], day["unread"]) == (None, {})
        del report["seconds"], report["memory_mb_max"]
    assert reports[0] == reports[1]
    page, file = tmp_path / "page.html", tmp_path / "figures.csv"
    await ask(tonle, *told, "--html", page, "--csv", file)
    assert "តើសំណើនេះ" in page.read_text()
    assert "http" not in page.read_text()
    assert "current_riel" in file.read_text()
    assert await ends(run) == before
    assert list(run.data_dir.glob("lab-*")) == []


async def test_a_household_without_its_key_is_told_as_forgotten(
    run: Run, tonle: CliRunner, proposed: Path
) -> None:
    async with asyncpg.create_pool(eligibility(run), min_size=1, max_size=1) as pool:
        kept = await pool.fetch("select * from household_key where purpose = 'person' order by 1 limit 2")
        destroyed, missing = (row["key_id"] for row in kept)
        try:
            await pool.execute(
                "update household_key set state = 'destroyed', wrapped = null, master_key_id = null "
                "where key_id = $1",
                destroyed,
            )
            await pool.execute("delete from household_key where key_id = $1", missing)
            answer = await ask(tonle, "simulate", proposed, "--until", JUNE, "--json")
        finally:
            await pool.execute("delete from household_key where key_id = $1", destroyed)
            await pool.copy_records_to_table("household_key", records=list(map(tuple, kept)))
    assert json.loads(answer.stdout)["days"][0]["unread"] == {"forgotten": 1, "key_missing": 1}


async def test_what_makes_no_sense_is_answered_with_what_does(
    tonle: CliRunner, proposed: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(proposed.read_text().replace("age <= 5", "aeg <= 5"))
    (tmp_path / "empty").mkdir()
    for words, said in (
        (("simulate", bad), "bad.yaml:19: persons.vulnerable_member"),
        (("simulate", proposed, "--since", "2999-01-01"), "Name a day up to"),
        (("simulate", proposed, "--until", "2999-01-01"), "is yet to come"),
        (("simulate", proposed, "--from", "archive", "--archive", tmp_path / "empty"), "is no archive"),
    ):
        answer = await ask(tonle, *words)
        assert (answer.exit_code != 0, said in answer.stderr) == (True, True), answer.stderr
    plan = await ask(tonle, "simulate", proposed, "--until", JUNE, "--plan")
    assert "create table judged" in plan.stdout


def eligibility(run: Run) -> str:
    return run.stack.state.postgres.dsn[SUPERUSER].rpartition("/")[0] + "/eligibility"


async def stream(run: Run) -> dict[str, int]:
    """Households by their latest decisions, of the demo's cycle on 1 June 2023."""
    db = await asyncpg.connect(eligibility(run))
    try:
        return {"eligible": await db.fetchval("select count(*) from household where standing = 'eligible'")}
    finally:
        await db.close()


async def ends(run: Run) -> dict[TopicPartition, int]:
    """Where every topic ends."""
    consumer = AIOKafkaConsumer(**run.stack.state.kafka.broker(ADMIN).options, group_id=None)
    await consumer.start()
    try:
        places = [
            TopicPartition(topic, number)
            for topic in await consumer.topics()
            for number in consumer.partitions_for_topic(topic) or ()
        ]
        return dict(await consumer.end_offsets(places))
    finally:
        await consumer.stop()
