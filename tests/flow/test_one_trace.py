"""One household's trace, followed through every service's file from the import row to the SMS."""

import asyncio
import json
import time
from itertools import pairwise

import pytest

from tests.flow.conftest import Run
from tonle import story

pytestmark = pytest.mark.stack
WRITTEN_S_MAX = 20  # spans are written in batches, every few seconds
PATHS = (
    (
        ("registration", "import row"),
        ("eligibility", "household.registered.v1"),
        ("payments", "eligibility.scored.v1"),
        ("notifications", "payment.issued.v1"),
    ),
    (
        ("payments", "eligibility.scored.v1"),
        ("payments", "partner.wing.report.v1"),
        ("notifications", "payment.updated.v1"),
        ("notifications", "sms"),
    ),
)
"""An SMS tells what the partner said of the payment, which keeps the trace of its decision."""
STEPS = {step for path in PATHS for step in path}
Spans = dict[tuple[str, str], list[dict[str, str]]]


async def spans(run: Run) -> Spans:
    """The spans of the shown household's only trace, by service and name, once they are written."""
    (trace_id,) = story.trace_ids(run.done.shown.steps)
    deadline = time.monotonic() + WRITTEN_S_MAX
    while True:
        written: list[dict[str, str]] = []
        for file in sorted((run.data_dir / "traces").glob("*.jsonl")):
            written += [json.loads(line) for line in file.read_text().splitlines()]
        found: Spans = {}
        for each in written:
            if each["trace_id"] == trace_id:
                found.setdefault((each["service"], each["name"]), []).append(each)
        if found.keys() >= STEPS or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.2)


async def test_one_trace_leads_from_the_import_row_to_the_sms(run: Run) -> None:
    assert STEPS - (await spans(run)).keys() == set()


async def test_each_span_of_a_trace_hangs_below_the_one_that_caused_it(run: Run) -> None:
    found = await spans(run)
    for cause, effect in (pair for path in PATHS for pair in pairwise(path)):
        causes = {each["span_id"] for each in found[cause]}
        assert {each["parent_id"] for each in found[effect]} <= causes, f"{effect} does not follow {cause}"
