"""Files of households: every row is registered, refused with what to do, or found unchanged."""

import csv
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from aiokafka import ConsumerRecord

from contracts import wire
from contracts.household import HouseholdRegistered
from contracts.topics import HOUSEHOLD_KEYS, HOUSEHOLD_REGISTERED
from tests.integration.registration.conftest import Window, form, numbered
from tests.integration.registration.test_readers import parquet_file, xlsx_file
from tests.unit.registration.samples import COLUMNS, PHNOM_PENH, csv_bytes, row
from tests.waiting import until

pytestmark = pytest.mark.stack


def tally(run: dict[str, Any]) -> tuple[int, int, int, int, int]:
    return (
        run["rows_done"], run["registered"], run["quarantined"], run["duplicates"], run["unchanged"],
    )  # fmt: skip


async def spooled(window: Window) -> list[str]:
    return [path.name for path in (window.settings.data_dir / "spool").iterdir()]


async def state_of(window: Window) -> dict[str, object]:
    """Everything that a second import of a file must not change."""
    tables = ("household", "claim", "every_change", "household_key", "quarantine", "duplicate_case")
    return {table: sorted(map(str, await window.db.fetch(f"select * from {table}"))) for table in tables} | {
        "told": await window.db.fetchval("select sum(message_count) from outbox")
    }


async def test_five_bad_rows_of_a_hundred_are_quarantined_and_their_neighbours_registered(
    open_window: Window,
) -> None:
    rows = [row(n, **({"village": ""} if n % 20 == 7 else {})) for n in range(1, 101)]
    run = await open_window.imported(csv_bytes(rows))
    assert (run["state"], tally(run)) == ("finished", (100, 95, 5, 0, 0))
    assert len(await open_window.on(HOUSEHOLD_REGISTERED.name)) == 95
    assert len(await open_window.on(HOUSEHOLD_KEYS.name)) == 95
    found = await open_window.quarantine()
    assert [entry["row_number"] for entry in found] == [8, 28, 48, 68, 88]
    assert found[0]["flaws"] == [
        {"field": "village", "value": "", "reason": "is empty", "remedy": "Fill it in."}
    ]
    assert await spooled(open_window) == []
    summary = (await open_window.get("/summary")).json()
    assert summary["imported"] == summary["registered"] + summary["quarantined"] + summary["duplicates"]


async def test_mixed_encodings_a_broken_line_and_a_null_byte_block_nobody(
    open_window: Window,
) -> None:
    lines = csv_bytes(row(n) for n in range(1, 6)).splitlines(keepends=True)
    lines[2] = lines[2].replace(b"tin", "tôle".encode("latin-1"))
    lines[3] = lines[3].replace(b"tin", b't"in' + b'"x')
    lines[4] = lines[4].replace(b"tin", b"t\0in")
    run = await open_window.imported(b"".join(lines))
    assert tally(run)[0] == 5
    assert run["registered"] + run["quarantined"] == 5
    reasons = {entry["row_number"]: entry["flaws"][0]["reason"] for entry in await open_window.quarantine()}
    assert (reasons[3], reasons[5]) == ("is not UTF-8", "holds characters that are not text")


async def test_a_row_that_breaks_a_constraint_is_quarantined_alone(open_window: Window) -> None:
    await open_window.db.execute("alter table household add check (reference <> 'R-7')")
    run = await open_window.imported(csv_bytes(row(n) for n in range(1, 31)))
    assert tally(run) == (30, 29, 1, 0, 0)
    (entry,) = await open_window.quarantine()
    assert (entry["row_number"], entry["flaws"][0]["reason"]) == (8, "can't be kept (CheckViolationError)")
    assert len(await open_window.on(HOUSEHOLD_REGISTERED.name)) == 29


async def test_workbooks_and_parquet_files_are_imported_like_csv(open_window: Window, tmp_path: Path) -> None:
    lines = [[row(n).get(name) for name in COLUMNS] for n in range(1, 51)]
    lines[3][COLUMNS.index("level")] = "=A1"
    workbook = xlsx_file(tmp_path / "a.xlsx", lines)
    run = await open_window.imported(workbook.read_bytes(), name="a.xlsx")
    assert tally(run) == (50, 49, 1, 0, 0)
    (entry,) = await open_window.quarantine()
    assert (entry["row_number"], entry["flaws"][0]["reason"]) == (5, "is a formula")
    texts = {name: pa.array([row(n).get(name) for n in range(1, 51)], pa.string()) for name in COLUMNS}
    run = await open_window.imported(
        parquet_file(tmp_path / "a.parquet", texts).read_bytes(), name="a.parquet"
    )
    assert (tally(run), run["rows_total"]) == ((50, 1, 0, 0, 49), 50)


async def test_a_workbook_that_is_damaged_further_down_fails_with_what_to_do(
    open_window: Window, tmp_path: Path
) -> None:
    path = xlsx_file(tmp_path / "a.xlsx", [[row(n).get(name) for name in COLUMNS] for n in range(1, 501)])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part[: len(part) * 2 // 3] if name == sheet else part)
    run = await open_window.imported(path.read_bytes(), name="a.xlsx")
    assert (run["state"], run["error"]) == ("failed", "the workbook is damaged")
    assert 0 < run["rows_done"] < 500
    assert (await open_window.imported(csv_bytes([row(1)])))["state"] == "finished"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([*COLUMNS, "phone"], "more than once: phone"),
        ([name for name in COLUMNS if name != "village"], "missing columns: village"),
        ([*COLUMNS, "phnoe"], "unknown columns: phnoe"),
    ],
)
async def test_wrong_columns_refuse_the_file_at_once(
    open_window: Window, columns: list[str], said: str
) -> None:
    answer = await open_window.upload(",".join(columns).encode() + b"\r\n")
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert await spooled(open_window) == []
    assert (await open_window.get("/imports")).json() == []


async def test_a_file_without_a_name_or_of_another_kind_or_too_large_is_refused(window: Window) -> None:
    async with window.running(upload_bytes_most=1000):
        assert (await window.upload(b"x", name="a.docx")).status_code == 422
        nameless = await window.call("POST", "/imports", await window.registrar(), content=b"x")
        assert nameless.status_code == 422
        assert (await window.upload(csv_bytes([row(1), row(2)]))).status_code == 413
        assert await spooled(window) == []


async def test_an_empty_file_ends_with_no_rows(open_window: Window) -> None:
    run = await open_window.imported(csv_bytes([]))
    assert (run["state"], tally(run), run["rows_total"]) == ("finished", (0, 0, 0, 0, 0), 0)


async def test_importing_a_file_again_changes_nothing(open_window: Window) -> None:
    rows = [row(n, **({"phone": "12"} if n == 3 else {})) for n in range(1, 50)]
    rows += [row(60, card_number="CARD-000001"), row(1)]
    first = await open_window.imported(csv_bytes(rows))
    assert tally(first) == (51, 48, 1, 2, 0)
    before = await state_of(open_window)
    second = await open_window.imported(csv_bytes(rows))
    assert tally(second) == (51, 0, 1, 1, 49)
    assert await state_of(open_window) == before


async def test_duplicates_point_to_the_first_or_to_a_case_outside_the_area(open_window: Window) -> None:
    await open_window.register(form(1, village=PHNOM_PENH))
    rows = [row(2), row(3, card_number="CARD-000002"), row(4, card_number="CARD-000001")]
    run = await open_window.imported(csv_bytes(rows), area="01")
    assert tally(run) == (3, 1, 0, 2, 0)
    inside, outside = await open_window.quarantine(area="01", outcome="duplicate")
    assert numbered(2) in inside["flaws"][0]["reason"]
    assert numbered(1) not in str(outside)
    assert "Quote case " in outside["flaws"][0]["remedy"]


async def test_a_row_outside_the_area_is_quarantined_and_seen_by_its_importer(open_window: Window) -> None:
    run = await open_window.imported(csv_bytes([row(1), row(2, village=PHNOM_PENH)]), area="01")
    assert tally(run) == (2, 1, 1, 0, 0)
    (entry,) = await open_window.quarantine(area="01")
    assert entry["flaws"][0]["reason"] == "lies outside your area"
    assert len(await open_window.quarantine(area="12")) == 1
    assert await open_window.quarantine(area="02") == []


async def test_a_reference_with_other_content_is_quarantined_until_the_household_is_revised(
    open_window: Window,
) -> None:
    await open_window.register(form(1))
    run = await open_window.imported(csv_bytes([row(1, level="poor_2"), row(1)]))
    assert tally(run) == (2, 0, 1, 0, 1)
    (entry,) = await open_window.quarantine()
    assert f"tonle household revise {numbered(1)}" in entry["flaws"][0]["remedy"]
    await open_window.revise(numbered(1), 1, form(1, level="poor_2"))
    assert await open_window.quarantine() == []


async def test_a_corrected_export_is_resubmitted_and_its_entries_resolved(open_window: Window) -> None:
    rows = [row(1), row(2, village=""), row(3, phone="12"), row(4, reference="")]
    await open_window.imported(csv_bytes(rows))
    exported = await open_window.get("/quarantine/export")
    text = exported.content.decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["row_number"] for line in lines] == ["3", "4", "5"]
    assert [line["field"] for line in lines] == ["village", "phone", "reference"]
    rights = (row(2), row(3), row(4))
    corrected = csv_bytes([line | right for line, right in zip(lines, rights, strict=True)], lines[0])
    answer = await open_window.upload(corrected, name="corrected.csv", path="/quarantine/resubmit")
    run = await open_window.ended(answer.json()["import_id"])
    assert tally(run) == (3, 3, 0, 0, 0)
    assert await open_window.quarantine() == []
    assert len(await open_window.quarantine(resolved=True)) == 3


async def test_quarantine_is_paged_and_filtered(open_window: Window) -> None:
    first = await open_window.imported(csv_bytes(row(n, village="") for n in range(1, 8)))
    await open_window.imported(csv_bytes([row(20, village="")]))
    page = await open_window.quarantine(import_id=first["import_id"], most=5)
    rest = await open_window.quarantine(import_id=first["import_id"], after=page[-1]["quarantine_id"])
    assert [entry["row_number"] for entry in page + rest] == [2, 3, 4, 5, 6, 7, 8]
    assert len(await open_window.quarantine()) == 8
    assert await open_window.quarantine(outcome="duplicate") == []


async def test_one_identity_twice_in_a_row_of_chunks_is_one_duplicate_each(open_window: Window) -> None:
    rows = [row(n) for n in range(1, 45)] + [row(100 + n, account_number="00000001") for n in range(3)]
    assert tally(await open_window.imported(csv_bytes(rows))) == (47, 44, 0, 3, 0)


async def test_a_chunk_that_failed_in_passing_is_done_again(open_window: Window) -> None:
    await open_window.db.execute(
        """
        create sequence tries;
        create function fail_once() returns trigger language plpgsql as $$
        begin
            if nextval('tries') = 1 then raise exception using errcode = '40001'; end if;
            return null;
        end $$;
        create trigger fails after insert on household for each statement execute function fail_once();
        """
    )
    assert tally(await open_window.imported(csv_bytes(row(n) for n in range(1, 51)))) == (50, 50, 0, 0, 0)


async def test_an_import_of_another_area_is_not_shown(open_window: Window) -> None:
    run = await open_window.imported(csv_bytes([row(1)]), area="01")
    path = f"/imports/{run['import_id']}"
    assert (await open_window.get(path, area="12")).status_code == 404
    assert (await open_window.get(path)).status_code == 200
    assert (await open_window.get("/imports", area="12")).json() == []


async def test_each_row_begins_a_trace_that_its_story_tells(open_window: Window) -> None:
    await open_window.imported(csv_bytes([row(1), row(2)]), name="ព្រៃវែង.csv")
    traces = {trace_of(record) for record in await open_window.on(HOUSEHOLD_REGISTERED.name)}
    told = (await open_window.get(f"/households/{numbered(2)}/story")).json()
    assert len(traces) == 2
    assert told[0]["trace_id"] in traces
    assert (told[0]["detail"]["file"], told[0]["detail"]["row_number"]) == ("ព្រៃវែង.csv", 3)


async def test_an_import_goes_on_after_a_restart_where_it_stood(window: Window) -> None:
    rows = [row(n) for n in range(1, 301)]
    async with window.running():
        import_id = (await window.upload(csv_bytes(rows))).json()["import_id"]
        await until(lambda: window.db.fetchval("select rows_done > 0 from import"))
    assert await window.db.fetchval("select rows_done from import") < 300
    async with window.running():
        assert tally(await window.ended(import_id)) == (300, 300, 0, 0, 0)
        told = await window.on(HOUSEHOLD_REGISTERED.name)  # what was going out at the stop may go again
        assert len({record.key for record in told}) == 300
    assert await spooled(window) == []


async def test_an_import_whose_file_is_gone_fails_with_what_to_do(window: Window) -> None:
    await window.db.execute(
        "insert into import (import_id, file_name, format, size_bytes, sha256, columns, state, caller, area,"
        " created_at) values ('lost', 'a.csv', 'csv', 1, '', '{}', 'waiting', 'office  6', '', now())"
    )
    async with window.running():
        run = await window.ended("lost")
    assert (run["state"], run["remedy"]) == ("failed", "Upload it again.")


async def test_an_upload_left_by_a_crash_is_deleted_at_the_next_start(window: Window) -> None:
    async with window.running():
        pass
    (window.settings.data_dir / "spool" / "abandoned").write_bytes(b"persons")

    async def gone() -> bool:
        return await spooled(window) == []

    async with window.running():
        await until(gone)


async def test_an_import_waits_while_the_outbox_is_full(window: Window) -> None:
    async with window.running(outbox_messages_most=10):
        await window.fill_outbox(7)
        import_id = (await window.upload(csv_bytes([row(1)]))).json()["import_id"]
        await until(lambda: window.db.fetchval("select true from pg_stat_activity limit 1"))
        assert (await window.get(f"/imports/{import_id}")).json()["state"] == "waiting"
        await window.db.execute("delete from outbox")
        assert tally(await window.ended(import_id))[0] == 1


async def test_an_upload_that_breaks_off_leaves_nothing(open_window: Window) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield csv_bytes([row(1)])
        raise ConnectionError

    disposition = {"Content-Disposition": 'attachment; filename="a.csv"'}
    token = await open_window.registrar()
    with pytest.raises(ConnectionError):
        await open_window.call("POST", "/imports", token, disposition, content=half())

    async def gone() -> bool:
        return await spooled(open_window) == []

    await until(gone)
    assert (await open_window.get("/imports")).json() == []


def trace_of(record: ConsumerRecord) -> str:
    event = wire.decode(
        HouseholdRegistered, HOUSEHOLD_REGISTERED.name, record.key, record.value, record.headers
    )
    return event.traceparent[3:35]
