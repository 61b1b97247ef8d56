"""What happens between registrations: reports, milestones, appeals, and every decision made again."""

import json
from datetime import date, timedelta

import pytest

from contracts import topics, wire
from contracts.condition import ConditionKind, ConditionReport
from contracts.household import KeyPurpose, KeyState, School, SchoolLevel
from contracts.milestone import MilestoneReached
from services.eligibility.reading import FileRefused
from tests.broker import admin, everything
from tests.integration.eligibility.conftest import Scene
from tests.unit.eligibility.samples import START, member, persons
from tests.waiting import until
from tonle import recompute
from tonle.recompute import Wanted

pytestmark = pytest.mark.stack
STUDENTS = "family-package-students"
MARCH, APRIL = 60 * 24 * 60, 95 * 24 * 60
"""Minutes after the start of 2025: 2 March, when the household registers, and 6 April."""

PUPIL = member(date(2017, 5, 1)).model_copy(update={"school": School(level=SchoolLevel.PRIMARY)})
FAMILY = persons(member(), PUPIL, card_expires_on=date(2025, 6, 1))
ATTENDED = ConditionReport(
    reference="term-1",
    person_id=PUPIL.person_id,
    kind=ConditionKind.ATTENDANCE,
    on=date(2025, 3, 31),
    reported_on=date(2025, 4, 6),
    attendance_percent=91,
)


async def students(scene: Scene) -> list[tuple[str, str, int, tuple[str, ...]]]:
    """How the students' programme decided each time: day, outcome, riel and reasons."""
    return [
        (str(made.as_of), made.outcome.value, made.amount, made.reasons)
        for each in await scene.scored()
        for made in each.data.decisions
        if made.programme == STUDENTS
    ]


async def run_calendar(scene: Scene, day: str) -> tuple[int, int]:
    """Milestones told and households decided anew by a run."""
    assert (await scene.post("/calendar/runs", {"day": day})).status_code == 202

    async def finished() -> bool:
        state: str = (await scene.get(f"/calendar/runs/{day}")).json()["state"]
        return state == "finished"

    await until(finished)
    run = (await scene.get(f"/calendar/runs/{day}")).json()
    return run["milestones"], run["rescored"]


async def overturn(scene: Scene) -> None:
    """Two people overturn the refusal of the students' programme; the one who prepared it may not decide."""
    tokens = {
        name: (await scene.post("/callers", {"name": name, "actions": actions, "area": ""})).json()["token"]
        for name, actions in (
            ("Dara", ["appeal.prepare", "appeal.decide", "read"]),
            ("Sokha", ["appeal.decide"]),
        )
    }
    asked = {"household_id": "h-1", "programme": STUDENTS, "why": "The new card is printed already."}
    made = await scene.post("/appeals", asked, tokens["Dara"])
    assert (made.status_code, made.json()["waives"]) == (201, ["card-expired"])
    path = f"/appeals/{made.json()['appeal_id']}/decision"
    assert (await scene.post(path, {"verdict": "overturned"}, tokens["Dara"])).status_code == 403
    for _ in range(2):
        assert (await scene.post(path, {"verdict": "overturned"}, tokens["Sokha"])).status_code == 200
    assert (await scene.post(path, {"verdict": "upheld"}, tokens["Sokha"])).status_code == 409


async def recomputed(scene: Scene) -> list[str]:
    """The verdict of every decision of the log."""
    cases = await recompute.gathered(
        Wanted(), admin(scene.settings), scene.settings.topic_prefix, lambda *_: None
    )
    found = await scene.post("/recomputations", {"cases": cases})
    assert found.status_code == 200, found.text
    return [each["verdict"] for each in found.json()]


async def test_a_household_lives_and_every_decision_of_it_comes_out_equal_again(scene: Scene) -> None:
    async with scene.running():
        await scene.tell_keys("h-1")
        await scene.tell(scene.sealer.registered(minute=MARCH, of=FAMILY))
        await until(lambda: scene.counts(refused=1))
        report = scene.sealer.reported(ATTENDED, minute=APRIL)
        await scene.tell(report, report)
        await until(lambda: scene.counts(eligible=1))
        assert await run_calendar(scene, "2025-06-15") == (2, 1)
        assert await run_calendar(scene, "2025-06-15") == (0, 0)
        assert await run_calendar(scene, "2025-05-01") == (0, 0)
        await overturn(scene)
        await until(lambda: scene.counts(eligible=1))
        told = await students(scene)
        assert told[:3] == [
            ("2025-03-02", "refused", 0, ("no-student-attending",)),
            ("2025-04-06", "eligible", 20_000, ()),
            ("2025-06-02", "refused", 0, ("card-expired",)),
        ]
        assert [each[1:] for each in told[3:]] == [
            ("eligible", 20_000, ("overturned-on-appeal", "card-expired"))
        ]
        assert await recomputed(scene) == ["equal"] * 4
        (said,) = (await scene.get(f"/households/h-1/explanations?programme={STUDENTS}")).json()
        assert said["same"] is True
        assert "appeal" in said["en"]
        assert "បណ្តឹង" in said["km"]
        await scene.tell_keys("h-1", KeyState.DESTROYED, [KeyPurpose.PERSON])
        await until(lambda: scene.db.fetchval("select count(*) from household_key where state = 'destroyed'"))
        assert await recomputed(scene) == ["forgotten"] * 4
    await says_no_more_than_it_may(scene)


async def says_no_more_than_it_may(scene: Scene) -> None:
    """Milestones tell a day, a coarse kind and by when; the payee is sealed."""
    records = await everything(scene.settings, scene.db, topics.MILESTONE_REACHED.name)
    found = [
        wire.decode(MilestoneReached, topics.MILESTONE_REACHED.name, r.key, r.value, r.headers).data
        for r in records
    ]
    assert [(str(each.as_of), each.kind.value, each.due_on) for each in found] == [
        ("2025-05-02", "card_expiring", date(2025, 6, 1)),
        ("2025-06-02", "circumstances_changed", None),
    ]
    fields = {"household_id", "revision", "as_of", "kind", "commune", "due_on", "payee"}
    assert {name for each in records for name in json.loads(each.value)} == fields
    assert found[0].as_of == date(2025, 6, 1) - timedelta(days=30)
    assert START.year == 2025


async def test_an_appeal_that_would_pay_nothing_is_refused_with_what_to_do(scene: Scene) -> None:
    async with scene.running():
        await scene.tell_keys("h-1")
        await scene.tell(scene.sealer.registered(minute=MARCH, of=FAMILY))
        await until(lambda: scene.counts(refused=1))
        caller = {"name": "Dara", "actions": ["appeal.prepare"], "area": ""}
        token = (await scene.post("/callers", caller)).json()["token"]
        asked = {"household_id": "h-1", "programme": STUDENTS, "why": "The school was flooded."}
        refused = await scene.post("/appeals", asked, token)
    assert refused.status_code == 422
    assert refused.json()["title"] == "Overturned, this programme would still pay nothing"
    assert "report the visit or attendance" in refused.json()["detail"]


async def test_a_programme_file_that_changed_after_it_decided_is_refused(scene: Scene, tmp_path) -> None:  # type: ignore[no-untyped-def]
    for path in scene.settings.programmes.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    async with scene.running(programmes=tmp_path):
        await scene.tell_keys("h-1")
        await scene.tell(scene.sealer.registered(minute=MARCH, of=FAMILY))
        await until(lambda: scene.counts(refused=1))
        (file,) = [each for each in (await scene.get("/programmes")).json() if each["id"] == STUDENTS]
    changed = tmp_path / f"{STUDENTS}.yaml"
    before = changed.read_text()
    changed.write_text(
        before.replace("riel: 20_000", "riel: 30_000").replace("amount: 70_000", "amount: 90_000")
    )
    with pytest.raises(FileRefused, match=rf"{STUDENTS}\.yaml:\d+: .*replaces: {file['hash']}"):
        async with scene.running(programmes=tmp_path):
            pass
    changed.write_text(changed.read_text().replace("currency:", f"replaces: {file['hash']}\ncurrency:"))
    async with scene.running(programmes=tmp_path):
        kept = await scene.get(f"/programme-files/{file['hash']}")
        assert kept.text == before
        assert await recomputed(scene) == ["equal"]
