"""What the simulated partner says: reports, and the letters in which they go out together.

A letter is written once, in the ledger, as what will be signed: CloudEvents, or the data of one alone.
"""

from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from contracts.bundle import BYTES_MOST
from contracts.topics import Topic
from contracts.wire import Cause, event_id

quoted = encode_basestring_ascii
"""A text in JSON, as ASCII."""


class Report(NamedTuple):
    """A report about to be said to the partition of its instruction; `data` is a `PaymentReport` in ASCII.

    What was `dropped` is never sent.
    """

    partition: int
    dropped: bool
    report_id: str
    household_id: str
    cause: Cause
    data: str


class Letter(NamedTuple):
    """Reports to one partition that are signed together; a row of `letter`.

    `number` is its last report's: they rise in the order in which they are said. Key and cause are those of
    its first. `payload` is a CloudEvents batch, or the data of the only one, whose id is the letter's.
    """

    number: int
    partition: int
    letter_id: str
    household_id: str
    cause_id: str
    correlation_id: str
    traceparent: str
    reports: int
    dropped: bool
    payload: bytes

    @property
    def cause(self) -> Cause:
        """The instruction that its first report follows from."""
        return Cause(self.cause_id, self.correlation_id, self.traceparent)


def letters(
    topic: Topic, said: Sequence[Report], numbers: Iterator[int], most: int, at: str
) -> Iterator[Letter]:
    """Reports of one time in letters of at most so many, and of `BYTES_MOST` unless one alone is larger."""
    alike = f'{{"specversion":"1.0","type":"{topic.name}","source":"/tonle/{topic.producer}","time":"{at}"'
    places: dict[tuple[int, bool], list[Report]] = {}
    for report in said:
        places.setdefault(report[:2], []).append(report)
    for reports in places.values():
        begin, size, number, events = 0, 0, 0, list[str]()
        for here, report in enumerate(reports):
            before, number = number, next(numbers)
            event = _event(alike, report, number)
            size += len(event) + 1
            if events and (len(events) == most or size > BYTES_MOST):
                yield _letter(topic, reports[begin:here], before, events)
                begin, size, events = here, len(event) + 1, []
            events.append(event)
        yield _letter(topic, reports[begin:], number, events)


def _event(alike: str, report: Report, number: int) -> str:
    cause_id, correlation_id, traceparent = map(quoted, report.cause)
    return (
        f'{alike},"id":{quoted(report.report_id)},"sequence":"{number}","correlationid":{correlation_id},'
        f'"causationid":{cause_id},"traceparent":{traceparent},'
        f'"partitionkey":{quoted(report.household_id)},"data":{report.data}}}'
    )


def _letter(topic: Topic, reports: Sequence[Report], number: int, events: Sequence[str]) -> Letter:
    first = reports[0]
    if len(reports) == 1:
        letter_id, payload = first.report_id, first.data
    else:
        letter_id = event_id(topic, "bundle", first.report_id, number)
        payload = f"[{','.join(events)}]"
    return Letter(
        number,
        first.partition,
        letter_id,
        first.household_id,
        *first.cause,
        len(reports),
        first.dropped,
        payload.encode(),
    )
