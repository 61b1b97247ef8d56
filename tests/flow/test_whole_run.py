"""A household goes from a row of a file to an SMS, and everything adds up."""

import json
import time

import httpx
import pytest

from tests.flow.conftest import HOUSEHOLDS, Run
from tonle import report, story

pytestmark = pytest.mark.stack


def test_every_sum_closes(run: Run) -> None:
    assert [str(each) for each in run.done.sums if not each.closes] == []
    assert run.done.counted.registration["imported"] == HOUSEHOLDS


def test_nothing_is_lost_and_nothing_doubled(run: Run) -> None:
    audit = run.done.audit
    assert (audit.lost, audit.doubled, audit.differing) == (0, 0, 0)
    assert audit.compared > 10 * HOUSEHOLDS


def test_every_comparison_had_something_to_compare(run: Run) -> None:
    may_be_empty = {
        "each exit was told",
        "each correction was told",
        "each SMS outcome was told",
        "each shock was told",
        "each shock's end was told",
    }
    empty = {each.comparison.name for each in run.done.audit.findings if not each.left}
    assert empty <= may_be_empty


def test_bad_rows_and_duplicates_were_seen(run: Run) -> None:
    registered = run.done.counted.registration
    assert registered["quarantined"] > 0
    assert registered["duplicates"] > 0
    assert run.done.quarantined[0]["flaws"]


def test_a_household_s_story_is_told_by_all_services_in_order(run: Run) -> None:
    steps = run.done.shown.steps
    in_order = list(dict.fromkeys(step.service for step in steps))
    assert in_order[:2] == ["registration", "eligibility"]
    paid, told = (
        next(at for at, step in enumerate(steps) if step.service == service and step.what.startswith(what))
        for service, what in (("payments", ""), ("notifications", "SMS sent"))
    )
    assert paid < told
    assert {step.service for step in steps} == set(story.SERVICES)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert len(story.trace_ids(steps)) == 1
    assert any("\u1780" <= letter <= "\u17ff" for letter in run.done.shown.sms)


def test_a_story_is_read_within_three_seconds(run: Run) -> None:
    state = run.stack.state
    headers = {"Authorization": f"Bearer {state.tokens['admin']}"}

    def client(service: str) -> httpx.Client:
        return httpx.Client(verify=False, base_url=state.services[service].url, headers=headers)

    began = time.monotonic()
    told = story.read(client, run.done.shown.household_id)
    assert told[: len(run.done.shown.steps)] == run.done.shown.steps
    assert time.monotonic() - began < 3


def test_what_the_demo_answers_as_json_holds_all_it_promises(run: Run) -> None:
    answer = json.loads(json.dumps(run.done.as_json()))
    promised = (
        "imported registered quarantined duplicates eligible refused payments waiting riel sms_sent "
        "sms_unknown sms_none dead_letters lost doubled elapsed_s households_per_second"
    )
    assert set(promised.split()) <= answer.keys()
    assert answer["riel"] == sum(answer["provinces"].values()) > 0


def test_the_report_is_one_file_that_fetches_nothing(run: Run) -> None:
    page = report.page(run.done)
    assert "lost 0, doubled 0" in page
    assert run.done.shown.sms in page
    for word in ("http:", "https:", "src=", "@import", "url("):
        assert word not in page.replace("http://www.w3.org", "")


def test_the_whole_run_needed_no_second_start_of_any_part(run: Run) -> None:
    assert {name: part.restarts for name, part in run.stack.state.parts().items() if part.restarts} == {}
