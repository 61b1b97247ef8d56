"""A cycle's preview on the real stack: refused until it is answered, then compared with the one before."""

import csv
from collections.abc import Iterable, Sequence

import pytest

from contracts import topics
from contracts.eligibility import EligibilityCompleted
from contracts.wire import Record
from tests.integration.payments.conftest import CYCLE, PERIOD, PROGRAMME, Family, Scene, event, family
from tests.waiting import until

pytestmark = pytest.mark.stack
JULY = "2023-07"
MONEY = {"envelope": 10_000_000, "cap_household": 500_000, "cap_payments": 1_000}
PARTITIONS = 2


def completed(below: Iterable[int], period: str = PERIOD, opening: int = 1) -> list[Record]:
    """What eligibility says of each partition."""
    cycle_id, topic = f"{PROGRAMME}-{period}", topics.ELIGIBILITY_COMPLETED
    return [
        event(
            topic,
            EligibilityCompleted(
                cycle_id=cycle_id,
                opening=opening,
                partition=partition,
                partitions=PARTITIONS,
                answered_below=end,
            ),
            f"{cycle_id}/{partition}",
            opening,
        )
        for partition, end in enumerate(below)
    ]


async def until_answered(scene: Scene, count: int) -> None:
    await until(lambda: scene.db.fetchval("select count(*) = $1 from answer", count))


async def test_a_preview_is_refused_until_each_partition_is_answered_and_read(scene: Scene) -> None:
    async with scene.running():
        await scene.open_cycle()
        nothing = await scene.call("GET", f"/cycles/{CYCLE}/preview")
        await scene.send(completed([0]))
        await until_answered(scene, 1)
        half = await scene.call("GET", f"/cycles/{CYCLE}/preview")
        await scene.send(completed([0, 1])[1:])
        await until_answered(scene, 2)
        unread = await scene.call("GET", f"/cycles/{CYCLE}/preview.csv")
        other = await scene.call("GET", "/cycles/another/preview")
    assert [each.status_code for each in (nothing, half, unread, other)] == [409, 409, 409, 404]
    assert half.json()["title"] == f"Eligibility has not answered {CYCLE} yet: 1 of 2 partitions are in"


async def paid_in_june(scene: Scene, families: Sequence[Family]) -> None:
    """Three are paid 100,000 riel, and the fourth waits for the envelope."""
    await scene.open_cycle(envelope=300_000)
    await scene.approve()
    await scene.send(scene.key(each) for each in families)
    await scene.send(scene.scored(each, 100_000) for each in families[:3])
    await scene.settled_down(states=dict.fromkeys(["h-0000", "h-0001", "h-0002"], "issued"))
    await scene.send([scene.scored(families[3], 90_000)])
    await scene.settled_down(waiting={"h-0003": "envelope"})


async def test_the_second_month_with_what_is_carried_into_it_is_compared_with_the_first(scene: Scene) -> None:
    families = [family(f"h-{number:04}") for number in range(6)]
    amounts = (100_000, 120_000, 0, 95_000, 100_000, 400_000)
    async with scene.running():
        await paid_in_june(scene, families)
        await scene.send([scene.scored(families[0], 90_000, sequence=2, revision=2)])
        await until(lambda: scene.db.fetchval("select amount = -10000 from correction"))
        (await scene.ask_for(JULY, **MONEY)).raise_for_status()
        july = zip(families, amounts, strict=True)
        await scene.send(
            scene.scored(each, amount, sequence=3, revision=2, period=JULY) for each, amount in july
        )
        await scene.send(completed([0, 0], JULY))
        await until_answered(scene, 2)
        await until(
            lambda: scene.db.fetchval("select count(*) = 6 from every_decision where period = $1", JULY)
        )
        found = (await scene.call("GET", f"/cycles/{PROGRAMME}-{JULY}/preview")).json()
        listed = (await scene.call("GET", f"/cycles/{PROGRAMME}-{JULY}/preview.csv")).text
        assert await scene.db.fetchval("select count(*) from every_decision where period = $1", PERIOD) == 1
    assert (found["last_cycle"], found["households"], found["riel"]) == (CYCLE, 5, 805_000)
    assert found["carried_riel"] == -10_000
    changes = {change: each["households"] for change, each in found["changes"].items()}
    assert changes == {"new": 3, "gone": 1, "raised": 1, "lowered": 1, "same": 0}
    assert found["waiting"] == {"approval": {"households": 5, "riel": 805_000}}
    assert [each["household_id"] for each in found["largest_outliers"]] == ["h-0005"]
    rows = [tuple(each.values())[3:] for each in csv.DictReader(listed.splitlines())]
    assert rows == [
        ("lowered", "planned", "approval", "", "-10000"),
        ("raised", "planned", "approval", "", "0"),
        ("gone", "", "", "", "0"),
        ("new", "planned", "approval", "", "0"),
        ("new", "planned", "approval", "", "0"),
        ("new", "planned", "approval", "yes", "0"),
    ]
