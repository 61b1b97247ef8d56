"""A household is referred with its decision: told once, and to the ministry that serves it alone."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from contracts import topics, wire
from contracts.household import KeyState, Level, Purpose
from contracts.referral import Referral, ReferralMade
from contracts.wire import Received
from simulators import ministry
from tests.broker import everything
from tests.integration.eligibility.conftest import Scene
from tests.unit.eligibility.samples import IN_NEED, MINISTRIES, exited
from tests.waiting import until
from tonle.stack import access
from tonle.stack.secrets import Secrets

pytestmark = pytest.mark.stack


@pytest_asyncio.fixture
async def office(scene: Scene, secrets: Secrets) -> AsyncIterator[Scene]:
    """The service with ministries that it can write to."""
    keys = {name: secrets.public_jwk(f"ministry-{name}") for name in MINISTRIES}
    changes = {"ministries": keys, "signing_key_file": secrets.jwk("eligibility")}
    async with scene.running(**changes) as running:
        await running.tell_keys("h-1")
        await running.tell(running.sealer.registered(of=IN_NEED))
        await until(lambda: running.counts(households=1))
        yield running


async def told(scene: Scene) -> list[Received[ReferralMade]]:
    name = topics.REFERRAL_MADE.name
    records = await everything(scene.settings, scene.db, name)
    found = [wire.decode(ReferralMade, name, r.key, r.value, r.headers) for r in records]
    return sorted(found, key=lambda each: (each.key, each.sequence))


def opened(event: Received[ReferralMade], secrets: Secrets) -> Referral:
    """As its ministry opens it."""
    return ministry.Desk(event.data.recipient, secrets.folder).opened(event.data)


async def test_a_ministry_opens_what_it_is_told_and_finds_the_decision_it_came_with(
    office: Scene, secrets: Secrets
) -> None:
    found = await told(office)
    (scored,) = await office.scored()
    assert [each.data.recipient for each in found] == ["health", "labour", "labour"]
    assert {each.data.decision_id for each in found} == {scored.id}
    letters = [opened(each, secrets) for each in found]
    assert [each.service for each in letters] == ["health-equity", "reintegration", "tvet-and-jobs"]
    assert [each.id for each in found] == [each.referral_id for each in letters]
    rows = await office.db.fetch("select number, recipient, service, decision_id from referral order by 1")
    assert [tuple(row) for row in rows] == [
        (1, "health", "health-equity", scored.id),
        (2, "labour", None, scored.id),
        (3, "labour", None, scored.id),
    ]


async def test_a_revision_refers_again_only_to_what_changed(office: Scene, secrets: Secrets) -> None:
    await office.tell(office.sealer.registered(revision=2, of=IN_NEED))
    await until(lambda: office.db.fetchval("select count(*) = 1 from household where revision = 2"))
    assert len(await told(office)) == 3
    taken_back = IN_NEED.model_copy(update={"consents": (Purpose.DELIVERY,)})
    await office.tell(office.sealer.registered(revision=3, of=taken_back))
    await until(lambda: office.db.fetchval("select count(*) = 3 from referral where withdrawn_number > 3"))
    await until(lambda: office.counts(households=1))
    after = (await told(office))[3:]
    assert [(each.sequence, each.data.state) for each in after] == [
        *((number, "withdrawn") for number in (4, 5, 6))
    ]
    assert [opened(each, secrets).referral_id for each in after] == [
        each.id for each in (await told(office))[:3]
    ]


async def test_an_exit_withdraws_and_a_forgotten_household_is_told_of_no_more(office: Scene) -> None:
    await office.tell(exited("h-1", 1))
    await until(lambda: office.db.fetchval("select count(*) = 3 from referral where withdrawn_number > 3"))
    await office.tell_keys("h-1", KeyState.DESTROYED)
    await until(lambda: office.db.fetchval("select 1 from household_key where state = 'destroyed'"))
    await office.tell(office.sealer.registered(revision=2, of=IN_NEED))
    await until(lambda: office.counts(forgotten=1))
    assert [each.data.state for each in await told(office)] == ["made"] * 3 + ["withdrawn"] * 3


async def test_two_revisions_of_one_batch_are_told_in_order_and_once(office: Scene) -> None:
    revisions = [
        office.sealer.registered("h-2", revision, of=IN_NEED, level=level)
        for revision, level in ((1, Level.POOR_2), (2, Level.NONE), (3, Level.POOR_2))
    ]
    await office.tell(*revisions)
    await office.tell_keys("h-2")
    await until(lambda: office.counts(households=2))
    await until(lambda: office.db.fetchval("select count(*) = 1 from household where revision = 3"))
    await until(lambda: office.counts(households=2))
    found = [each for each in await told(office) if each.key == "h-2"]
    assert [each.sequence for each in found] == list(range(1, len(found) + 1))
    assert (
        await office.db.fetchval(
            "select count(*) from referral where household_id = 'h-2' and withdrawn_number is null"
        )
        == 3
    )


async def test_an_offer_names_the_day_its_ministry_was_told_and_hides_what_is_sensitive(
    office: Scene,
) -> None:
    found = {each["service"]: each for each in (await office.get("/households/h-1/offers")).json()}
    assert {name: each["told"] for name, each in found.items()} == {
        "health-equity": "ministry",
        "protection-helpline": "nobody",
        "tvet-and-jobs": "ministry",
    }
    assert found["tvet-and-jobs"]["since"] in found["tvet-and-jobs"]["en"]
    later = {each["service"] for each in (await office.get("/households/h-1/offers?on=2042-01-01")).json()}
    assert "tvet-and-jobs" not in later
    assert (await office.get("/households/no-such/offers")).status_code == 404


async def test_referrals_are_listed_and_counted_by_ministry(office: Scene) -> None:
    rows = (await office.get("/referrals?household_id=h-1&to=labour")).json()
    assert [(each["recipient"], each["service"]) for each in rows] == [("labour", None)] * 2
    totals = (await office.get("/referrals/totals")).json()
    assert [(each["recipient"], each["made"], each["standing"]) for each in totals] == [
        ("health", 1, 1),
        ("labour", 2, 2),
    ]
    reachable = {each["id"]: each["reachable"] for each in (await office.get("/services")).json()}
    assert reachable == {
        "health-equity": True,
        "on-demand-idpoor": True,
        "protection-helpline": False,
        "reintegration": True,
        "tvet-and-jobs": True,
    }


async def test_the_sample_ministry_reads_its_own_referrals_with_its_own_rights(
    office: Scene, secrets: Secrets
) -> None:
    user = access.ministry("labour")
    settings = ministry.Settings(
        kafka=office.settings.kafka,
        kafka_user=user,
        kafka_password_file=secrets.kafka_password_file(user),
        topic_prefix=office.settings.topic_prefix,
        secrets=secrets.folder,
        ministry="labour",
    )
    desk = await ministry.read(settings)
    assert [each.service for each in desk.standing.values()] == ["reintegration", "tvet-and-jobs"]
