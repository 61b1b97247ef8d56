"""What the demo shows: the screen, the picture and the report, from made-up numbers."""

import io
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from tests.unit.tonle.test_hops import DONE, changed
from tonle import report
from tonle.check import Audit
from tonle.checking.comparisons import COMPARISONS, Difference, Finding
from tonle.checking.told import Reading
from tonle.demo_run import Done, Plan, Shown
from tonle.demo_screen import Ending, Look, Screen, plain, save_picture
from tonle.hops import hops, sums

LOOK = Look(2.0, hops(DONE), (495.0, 495.0, 445.0, 445.0))
KHMER = "លោកអ្នកទទួលបានប្រាក់ឧបត្ថម្ភសង្គម"
ENDING = Ending(LOOK, sums(DONE), {"Takeo": 60_000_000, "Kep": 29_000_000}, [KHMER], ["lost 0"], True)


@pytest.fixture
def done() -> Done:
    finding = Finding(COMPARISONS[0], 990, 990)
    audit = Audit([finding], {}, 9, [], Reading({"household.registered.v1": 990}), {"payments": 0}, 1.5)
    plan = Plan(1000, 1, 10**9, Path("home"), Path("home/households.csv"))
    counted = changed("payments", riel_settled=88_000_000)
    return Done(plan, counted, [LOOK], {"<Takeo>": 89_000_000}, Shown("id", [], KHMER), audit, [], 2.0)


def test_a_pipe_gets_one_plain_line_with_every_hop() -> None:
    assert plain(LOOK) == (
        "   2.0 s  registered 990 495/s waiting 0 | scored 990 (90,000,000 riel) 495/s waiting 0 | "
        "paid 890 (89,000,000 riel) 445/s waiting 10 | told 890 445/s waiting 0"
    )


def test_the_last_screen_says_sums_provinces_story_and_verdict() -> None:
    console = Console(file=io.StringIO(), width=120)
    Screen(console, 1000).end(ENDING)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    for word in ("✓ imported 1,000", "Takeo", "60,000,000", KHMER, "lost 0"):
        assert word in said


def test_the_picture_is_svg_that_asks_no_host_for_anything(tmp_path: Path) -> None:
    save_picture(tmp_path / "demo.svg", ENDING, 1000)
    svg = (tmp_path / "demo.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert re.findall(r"https?://(?!www\.w3\.org)", svg) == []
    assert [path.name for path in tmp_path.iterdir()] == ["demo.svg"]


def test_the_report_escapes_what_it_says_and_fetches_nothing(done: Done) -> None:
    page = report.page(done)
    assert "&lt;Takeo&gt;" in page
    assert KHMER in page
    assert not re.search(r"https?:|src=|@import|url\(", page)
    assert ElementTree.fromstring(report.chart(done.looks)).tag == "svg"


def test_a_run_passes_when_all_rows_are_there_and_nothing_is_wrong(done: Done) -> None:
    assert done.passed
    assert done.verdict()[0] == "lost 0, doubled 0"


@pytest.mark.parametrize("kind", ["lost", "doubled", "differing"])
def test_a_run_with_anything_wrong_does_not_pass(done: Done, kind: str) -> None:
    finding = done.audit.findings[0]
    setattr(finding, kind, 1)
    finding.differences.append(Difference("lost", "h", "h/1", "there", "not there"))
    assert not done.passed
    assert kind in done.verdict()[0]
    assert 'class="bad"' in report.page(done)


def test_a_run_that_left_rows_of_the_file_out_does_not_pass(done: Done) -> None:
    assert not replace(done, plan=replace(done.plan, households=1001)).passed


def test_a_run_whose_sums_stay_open_does_not_pass(done: Done) -> None:
    assert not replace(done, counted=changed("eligibility", refused=89)).passed


def test_rates_and_totals_go_into_the_json(done: Done) -> None:
    answer = done.as_json()
    assert (answer["households_per_second"], answer["riel"], answer["dead_letters"]) == (500.0, 89_000_000, 0)
