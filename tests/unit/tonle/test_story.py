"""One household's story, merged from all services."""

from datetime import UTC, datetime, timedelta, timezone

from tonle.story import Step, lines, merge, trace_ids

NOON = datetime(2023, 6, 1, 12, 0, tzinfo=UTC)


def step(service: str, what: str, seconds: int, trace: str | None = "t1") -> Step:
    return Step(at=NOON + timedelta(seconds=seconds), service=service, what=what, trace_id=trace)


def test_a_story_is_told_in_the_order_it_happened() -> None:
    story = merge(
        [
            [step("registration", "registered", 0), step("registration", "revised", 9)],
            [step("eligibility", "scored", 1), step("eligibility", "scored", 10)],
            [step("payments", "payment issued", 2)],
        ]
    )
    assert [each.what for each in story] == ["registered", "scored", "payment issued", "revised", "scored"]


def test_what_happened_at_once_stays_in_the_order_of_the_flow() -> None:
    story = merge([[step("registration", "registered", 0)], [step("eligibility", "scored", 0)]])
    assert [each.service for each in story] == ["registration", "eligibility"]


def test_times_with_other_offsets_are_compared_as_moments() -> None:
    phnom_penh = Step(
        at=datetime(2023, 6, 1, 18, 59, tzinfo=timezone(timedelta(hours=7))),
        service="payments",
        what="earlier",
    )
    assert [each.what for each in merge([[step("x", "later", 0)], [phnom_penh]])] == ["earlier", "later"]
    assert lines([phnom_penh])[0].startswith("2023-06-01 11:59:00.000  payments")


def test_a_line_says_the_details_that_are_there() -> None:
    told = step("payments", "payment issued", 0).model_copy(update={"detail": {"riel": 176000, "note": None}})
    assert lines([told])[0].endswith("payment issued (riel 176000)")


def test_each_trace_is_named_once() -> None:
    assert trace_ids(
        [step("a", "", 0), step("b", "", 1, None), step("c", "", 2, "t2"), step("d", "", 3)]
    ) == [
        "t1",
        "t2",
    ]
