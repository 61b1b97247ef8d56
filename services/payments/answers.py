"""Whether eligibility has answered a cycle, and payments has read the answers. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from contracts.eligibility import EligibilityCompleted
from contracts.wire import Received
from postbox.errors import Park


class Answer(NamedTuple):
    """What eligibility said last of a cycle on one partition of its decisions."""

    cycle_id: str
    partition: int
    opening: int
    partitions: int
    answered_below: int
    unanswered: int

    @property
    def key(self) -> str:
        return f"{self.cycle_id}/{self.partition}"


class Completeness(NamedTuple):
    """How far a cycle is answered: partitions said to be, those read, and households without an answer.

    `partitions` is 0 while eligibility has said nothing of this opening.
    """

    partitions: int
    answered: int
    read: int
    unanswered: int

    @property
    def is_complete(self) -> bool:
        return 0 < self.partitions == self.read


def take(known: Answer | None, completed: Received[EligibilityCompleted]) -> Answer | None:
    """Take in that a partition is answered; None for what is not newer.

    Raises `Park` where the event's key is not its cycle and partition.
    """
    said = completed.data
    answer = Answer(
        said.cycle_id,
        said.partition,
        said.opening,
        said.partitions,
        said.answered_below,
        said.unanswered,
    )
    if completed.key != answer.key:
        raise Park("the event's key is not its cycle and partition")
    return None if known is not None and answer.opening <= known.opening else answer


def completeness(answers: Iterable[Answer], opening: int, stands: Mapping[int, int]) -> Completeness:
    """How far one opening is answered; `stands`: the offset payments reads next, by partition."""
    these = [each for each in answers if each.opening == opening]
    read = [each for each in these if stands.get(each.partition, 0) >= each.answered_below]
    return Completeness(
        max((each.partitions for each in these), default=0),
        len(these),
        len(read),
        sum(each.unanswered for each in these),
    )
