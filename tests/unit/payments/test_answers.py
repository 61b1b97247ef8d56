"""When a cycle counts as answered, as a table."""

from datetime import UTC, datetime

import pytest

from contracts.eligibility import EligibilityCompleted
from contracts.wire import Received
from postbox.errors import Park
from services.payments.answers import Answer, Completeness, completeness, take

NOW = datetime(2023, 6, 1, tzinfo=UTC)


def told(
    partition: int, opening: int = 1, key: str = "", unanswered: int = 0
) -> Received[EligibilityCompleted]:
    data = EligibilityCompleted(
        cycle_id="c",
        opening=opening,
        partition=partition,
        partitions=2,
        answered_below=10,
        unanswered=unanswered,
    )
    return Received(data, "id", "type", key or f"c/{partition}", NOW, opening, "", "")


def answer(partition: int, opening: int = 1, unanswered: int = 0) -> Answer:
    taken = take(None, told(partition, opening, unanswered=unanswered))
    assert taken is not None
    return taken


@pytest.mark.parametrize(
    ("answers", "stands", "complete"),
    [
        ([], {0: 99, 1: 99}, False),
        ([answer(0)], {0: 99, 1: 99}, False),
        ([answer(0), answer(1)], {0: 10, 1: 9}, False),
        ([answer(0), answer(1)], {0: 10}, False),
        ([answer(0), answer(1, opening=2)], {0: 99, 1: 99}, False),
        ([answer(0), answer(1)], {0: 10, 1: 99}, True),
    ],
    ids=["nothing said", "one partition", "not read", "never read", "another opening", "all said and read"],
)
def test_a_cycle_is_complete_once_every_partition_is_answered_and_read(
    answers: list[Answer], stands: dict[int, int], complete: bool
) -> None:
    assert completeness(answers, 1, stands).is_complete is complete


def test_who_could_not_be_judged_is_counted() -> None:
    answers = [answer(0, unanswered=2), answer(1, unanswered=1)]
    assert completeness(answers, 1, {0: 10, 1: 10}) == Completeness(2, 2, 2, 3)


def test_an_older_opening_does_not_come_back() -> None:
    assert take(answer(0, opening=2), told(0, opening=1)) is None
    assert take(answer(0, opening=1), told(0, opening=2)) == answer(0, opening=2)


def test_an_event_under_another_key_is_parked() -> None:
    with pytest.raises(Park, match="key"):
        take(None, told(0, key="c/1"))
