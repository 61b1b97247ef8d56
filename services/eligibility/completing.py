"""The job `complete`: once a cycle is answered on a partition, payments is told so.

What is done is read from the database, so it does not matter which process answered what.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from contracts.eligibility import EligibilityCompleted
from contracts.topics import ELIGIBILITY_COMPLETED, ELIGIBILITY_SCORED, HOUSEHOLD_REGISTERED
from contracts.wire import Cause, Record, emit, event_id
from postbox import outbox, positions
from postbox.broker import log_ends
from postbox.message import Connection
from postbox.positions import Place
from postbox.service import Service
from services.eligibility import store_answers
from services.eligibility.store_answers import Answer, Told

COMPLETE = "complete"
LANE = "job:complete"


async def tell_completed(service: Service) -> bool:
    """Note new openings, and tell which partitions are answered; never more at once.

    Raises KafkaError where the broker does not answer; then nothing changed.
    """
    await _note_openings(service)
    async with service.db.acquire() as db, db.transaction():
        answered = await _answered(service, db)
        if not answered:
            return False
        # What was decided of these households is committed; now it goes out, and the log's end lies behind.
        await service.publisher.sweep(0)
        scored = await log_ends(
            service.settings.broker, service.settings.topic_prefix + ELIGIBILITY_SCORED.name
        )
        unanswered = await _unanswered(service, db, answered, len(scored))
        told = [Told(each, scored[each.partition], unanswered[_place(each)]) for each in answered]
        now = datetime.now(UTC)
        await store_answers.tell(db, told, now)
        traceparent = service.new_traceparent()
        records = [_record(each, len(scored), traceparent, now) for each in told]
        written = await outbox.write(db, LANE, records)
    service.courier.take([LANE], written)
    return False


async def _note_openings(service: Service) -> None:
    async with service.db.acquire() as db:
        new = await store_answers.new_openings(db)
        if new:
            # Read after the opening was known: who registered before it lies below.
            ends = await log_ends(service.settings.broker, _registered(service))
            await store_answers.note(db, new, ends)


async def _answered(service: Service, db: Connection) -> list[Answer]:
    topic = _registered(service)
    untold = await store_answers.untold(db, topic)
    if not untold:
        return []
    stands = await positions.read_all(db)
    done = {place.partition: at.next_offset for place, at in stands.items() if place.topic == topic}
    return [each for each in untold if done.get(each.partition, 0) >= each.registered_below]


async def _unanswered(
    service: Service, db: Connection, answered: Sequence[Answer], partitions: int
) -> Counter[tuple[str, Place]]:
    topic = _registered(service)
    failed = await store_answers.failures(db, [each.opening for each in answered])
    parked = await store_answers.parked(db, topic)
    found: Counter[tuple[str, Place]] = Counter()
    for (cycle_id, number), household_ids in failed.items():
        for partition, count in _by_partition(household_ids, partitions).items():
            found[cycle_id, Place(str(number), partition)] += count
    for each in answered:
        found[_place(each)] += parked.get(each.partition, 0)
    return found


def _registered(service: Service) -> str:
    return service.settings.topic_prefix + HOUSEHOLD_REGISTERED.name


def _place(each: Answer) -> tuple[str, Place]:
    return each.opening.cycle_id, Place(str(each.opening.number), each.partition)


def _by_partition(household_ids: Iterable[str], partitions: int) -> Counter[int]:
    return Counter(outbox.partition_of(each.encode(), partitions) for each in household_ids)


def _record(told: Told, partitions: int, traceparent: str, now: datetime) -> Record:
    answer, topic = told.answer, ELIGIBILITY_COMPLETED
    opening, partition = answer.opening, answer.partition
    return emit(
        topic,
        EligibilityCompleted(
            cycle_id=opening.cycle_id,
            opening=opening.number,
            partition=partition,
            partitions=partitions,
            answered_below=told.answered_below,
            unanswered=told.unanswered,
        ),
        id=event_id(topic, opening.cycle_id, opening.number, partition),
        key=f"{opening.cycle_id}/{partition}",
        sequence=opening.number,
        time=now,
        cause=Cause(opening.cause_id, opening.cause_id, traceparent),
    )
