"""Each comparison of the audit, on made-up books: silent when they agree, and naming what is wrong."""

from collections.abc import Iterator

import pytest

from tonle.checking import kept
from tonle.checking.comparisons import COMPARISONS, Comparison, Finding, compare, derive, out_of_order
from tonle.checking.facts import Fact, Facts, Told

BOOK = [Fact(f"household-{n}", f"household-{n}/thing", "176000 riel") for n in (1, 2, 3)]
SECOND = BOOK[1]
each_comparison = pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda each: each.name)


@pytest.fixture
def facts() -> Iterator[Facts]:
    with Facts() as scratch:
        yield scratch


def found(facts: Facts, comparison: Comparison, right: list[Fact], aside: tuple[Fact, ...] = ()) -> Finding:
    facts.keep(comparison.left, BOOK)
    facts.keep(comparison.right, right)
    for source in comparison.seen_in:
        facts.keep(source, aside)
    return compare(facts, comparison)


@each_comparison
def test_books_that_agree_have_no_differences(facts: Facts, comparison: Comparison) -> None:
    finding = found(facts, comparison, list(reversed(BOOK)))
    assert (finding.left, finding.right, finding.differences) == (3, 3, [])


@each_comparison
def test_what_is_missing_is_lost_and_named(facts: Facts, comparison: Comparison) -> None:
    finding = found(facts, comparison, [BOOK[0], BOOK[2]])
    assert (finding.lost, finding.doubled, finding.differing) == (1, 0, 0)
    assert (finding.differences[0].household, finding.differences[0].key) == (SECOND.household, SECOND.key)


@each_comparison
def test_what_is_there_twice_is_doubled_and_named(facts: Facts, comparison: Comparison) -> None:
    finding = found(facts, comparison, [*BOOK, SECOND])
    assert (finding.lost, finding.doubled, finding.differing) == (0, 1, 0)
    assert finding.differences[0].right == "2 times 176000 riel"


@each_comparison
def test_what_nobody_caused_is_doubled(facts: Facts, comparison: Comparison) -> None:
    finding = found(facts, comparison, [*BOOK, Fact("household-4", "household-4/thing", "80000 riel")])
    assert (finding.lost, finding.doubled) == (0, 1)
    assert finding.differences[0].left == "not there"


@each_comparison
def test_another_value_differs(facts: Facts, comparison: Comparison) -> None:
    finding = found(facts, comparison, [BOOK[0], SECOND._replace(value="80000 riel"), BOOK[2]])
    assert (finding.lost, finding.doubled, finding.differing) == (0, 0, 1)
    assert (finding.differences[0].left, finding.differences[0].right) == ("176000 riel", "80000 riel")


@pytest.mark.parametrize("comparison", [each for each in COMPARISONS if each.seen_in], ids=lambda e: e.name)
def test_what_is_visibly_set_aside_is_no_loss(facts: Facts, comparison: Comparison) -> None:
    parked = Fact(SECOND.household, "household.registered.v1/0/17", "persons: missing")
    finding = found(facts, comparison, [BOOK[0], BOOK[2]], (parked,))
    assert (finding.lost, finding.set_aside, finding.differences) == (0, 1, [])


def test_a_republished_event_is_no_second_event(facts: Facts) -> None:
    event = Told("h", "h/payment", "100 riel", "h", "event-1", 1, 5)
    facts.hear("topic", [event, event._replace(place=9)])
    facts.heard("topic")
    assert facts.count("topic") == 1


def test_two_events_of_one_business_key_are_two(facts: Facts) -> None:
    event = Told("h", "h/payment", "100 riel", "h", "event-1", 1, 5)
    facts.hear("topic", [event, event._replace(event_id="event-2", sequence=2, place=6)])
    facts.heard("topic")
    assert facts.count("topic") == 2


def test_the_latest_of_an_aggregate_is_the_one_with_the_highest_sequence(facts: Facts) -> None:
    first = Told("h", "h/programme", "refused", "h", "event-1", 1, 9)
    facts.hear("topic", [first._replace(value="eligible", event_id="event-2", sequence=2, place=3), first])
    facts.heard("topic")
    assert list(facts.ask('select value from "topic, latest"')) == [("eligible",)]


def test_a_sequence_that_falls_within_a_topic_is_found(facts: Facts) -> None:
    first = Told("h", "h/1", "", "h", "event-1", 2, 5)
    facts.hear("topic", [first, first._replace(event_id="event-2", sequence=1, place=6)])
    facts.heard("topic")
    assert [each.right for each in out_of_order(facts, ["topic"])] == ["came 1"]


def test_a_late_copy_of_an_earlier_event_is_not_out_of_order(facts: Facts) -> None:
    first = Told("h", "h/1", "", "h", "event-1", 1, 5)
    second = first._replace(key="h/2", event_id="event-2", sequence=2, place=6)
    facts.hear("topic", [first, second, first._replace(place=7)])
    facts.heard("topic")
    assert out_of_order(facts, ["topic"]) == []


def test_every_source_that_is_compared_is_read_from_somewhere() -> None:
    with Facts() as scratch:
        for source in kept.sources(["wing"]):
            scratch.keep(source, [])
        for topic in kept_topics():
            scratch.heard(topic)
        derive(scratch, ["wing"])
        for comparison in COMPARISONS:
            assert compare(scratch, comparison).differences == []


def kept_topics() -> list[str]:
    from tonle.checking import told

    return [topic.name for topic in told.household_topics(["wing"])]
