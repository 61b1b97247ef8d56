"""Duplicates that hide: found by a search, decided by people, undone; on a real register."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncpg import RestrictViolationError

from contracts import wire
from contracts.household import HouseholdExited, HouseholdRegistered
from contracts.topics import HOUSEHOLD_EXITED, HOUSEHOLD_REGISTERED
from services.registration import store_duplicates
from services.registration.likeness import Alike, Likeness, Pair
from services.registration.store_duplicates import Search
from tests.integration.registration.conftest import ACTIONS, Window, form, numbered
from tests.unit.registration.samples import RURAL, URBAN
from tests.waiting import until

pytestmark = pytest.mark.stack
NOW = datetime(2023, 6, 1, tzinfo=UTC)
SEARCH = "0" * 32
FIRST, LATER = numbered(1), numbered(2)
OFFICE = [*ACTIONS, "household.duplicates", "household.decide"]

# The household of R-1 written down by somebody else: no number, spelling or date gives it away as it stands.
AGAIN = {
    "card_number": "CARD-777777",
    "account_provider": "",
    "account_number": "",
    "phone": "",
    "member_1_name_latin": "Sokh Darra",
    "member_1_birth_date": "1985-01-01",
    "member_1_national_id": "",
    "member_2_name_km": "សុខ \u200bបូផា",
}
OTHERS = {
    "member_1_name_km": "គឹម វិបុល",
    "member_1_name_latin": "Kim Vibol",
    "member_1_sex": "male",
    "member_1_birth_date": "1961-11-30",
    "member_2_name_km": "គឹម ចន្ទ្រា",
    "member_2_name_latin": "Kim Chantrea",
    "member_2_birth_date": "1990-06-07",
    "phone": "",
}


class Office:
    """An office that looks for duplicates and decides."""

    def __init__(self, window: Window) -> None:
        self.window = window

    async def call(
        self, method: str, path: str, area: str = "", actions: list[str] = OFFICE, **more: Any
    ) -> Any:
        token = await self.window.registrar(area, actions)
        answer = await self.window.call(method, f"/duplicates{path}", token, **more)
        return answer.json() | {"status": answer.status_code} if answer.is_error else answer.json()

    async def search(self, area: str = "", least_bits: float = 20) -> dict[str, Any]:
        """A search that has ended."""
        opened = await self.call("POST", "/searches", area, json={"least_bits": least_bits})

        async def ended() -> bool:
            state = await self.window.db.fetchval(
                "select state from duplicate_search where search_id = $1", opened["search_id"]
            )
            return state in ("finished", "failed")

        await until(ended)
        found: dict[str, Any] = await self.call("GET", f"/searches/{opened['search_id']}", area)
        return found

    async def found(self) -> dict[str, Any]:
        """The pair that a search has found: R-1 and R-2."""
        search = Search(SEARCH, "finished", 20, "x", "", NOW)
        await store_duplicates.add_search(self.window.db, search)
        await self.keep()
        (shown,) = await self.call("GET", "")
        return dict(shown)

    async def keep(self) -> None:
        """What a search does with that pair."""
        pair = Pair(FIRST, LATER, Likeness(33, ["the same village"], [Alike(1, 1, 20, ["the same name"])], 1))
        await store_duplicates.keep(self.window.db, SEARCH, [pair], NOW)

    async def decide(self, pair: dict[str, Any], decision: str, **more: Any) -> Any:
        body = {"decision": decision, "revisions": pair["revisions"], **more}
        return await self.call("POST", f"/{pair['pair']}/decision", json=body)


@pytest.fixture
async def office(open_window: Window) -> Office:
    """An office with a household, the same one again, and another in another district."""
    await open_window.register(form(1), "1")
    await open_window.register(form(2, **AGAIN), "2")
    await open_window.register(form(3, **OTHERS, village=URBAN), "3")
    return Office(open_window)


async def test_a_household_written_down_twice_is_found_with_its_reasons(office: Office) -> None:
    run = await office.search()
    assert (run["state"], run["persons"], run["pairs_new"]) == ("finished", 6, 1)
    (pair,) = await office.call("GET", "")
    assert (pair["first_household_id"], pair["later_household_id"]) == (FIRST, LATER)
    assert pair["shared"] == ["the same village", "another card"]
    shown = await office.call("GET", f"/{pair['pair']}")
    head, child = sorted(shown["members"], key=lambda each: int(each["first_member"]))
    assert head["reasons"] == [
        "the same name in one script", "the same year, one without its day", "the same sex",
    ]  # fmt: skip
    assert child["reasons"] == ["the same name", "born the same day", "the same sex"]
    assert head["later"]["name_latin"] == "Sokh Darra"


async def test_nothing_is_merged_by_a_search_and_a_second_one_finds_nothing_new(office: Office) -> None:
    of_the_area = await office.search(RURAL[:4])
    assert (of_the_area["persons"], of_the_area["pairs_new"]) == (4, 1)
    assert (await office.search())["pairs_new"] == 0
    assert len(await office.call("GET", "")) == 1
    assert (await office.window.get("/summary")).json()["exited"] == 0
    assert list((office.window.settings.data_dir / "search").iterdir()) == []


async def test_the_later_of_two_that_are_the_same_exits_and_comes_back_when_undone(office: Office) -> None:
    pair = await office.found()
    assert (await office.decide(pair, "same"))["decision"] == "same"
    assert (await office.window.get(f"/households/{LATER}")).json()["state"] == "exited"
    assert await office.call("GET", "") == []
    await office.window.register(form(4, card_number="CARD-777777", member_1_birth_date="1999-09-09"), "4")
    taken = await office.call("POST", f"/{pair['pair']}/undo")
    assert (taken["status"], taken["field"]) == (409, "card_number")
    await office.window.leave(numbered(4), "moved")
    assert (await office.call("POST", f"/{pair['pair']}/undo"))["decision"] is None
    assert (await office.window.get(f"/households/{LATER}")).json()["state"] == "registered"
    made = (await office.call("GET", f"/{pair['pair']}"))["decisions"]
    assert [each["decision"] for each in made] == ["same", "undone"]
    assert {each["decided_by"] for each in made} == {f"office  {len(OFFICE)}"}
    exits = [wire.load(HouseholdExited, each.value) for each in await office.window.on(HOUSEHOLD_EXITED.name)]
    later = [each for each in exits if each.household_id == LATER]
    assert [(each.revision, each.reason) for each in later] == [(2, "duplicate")]
    told = await office.window.on(HOUSEHOLD_REGISTERED.name)
    registered = [wire.load(HouseholdRegistered, each.value) for each in told]
    assert [each.revision for each in registered if each.household_id == LATER] == [1, 3]


async def test_of_a_household_that_moved_the_first_registration_exits(office: Office) -> None:
    pair = await office.found()
    await office.decide(pair, "moved")
    assert (await office.window.get(f"/households/{FIRST}")).json()["state"] == "exited"
    assert (await office.window.get(f"/households/{LATER}")).json()["state"] == "registered"


async def test_two_that_are_different_stay_and_are_not_shown_again(office: Office) -> None:
    pair = await office.found()
    await office.decide(pair, "different")
    await office.keep()
    assert await office.call("GET", "") == []
    (decided,) = await office.call("GET", "?decided=true")
    assert decided["decision"] == "different"
    assert (await office.window.get("/summary")).json()["exited"] == 0


async def test_a_decision_is_made_once_and_about_what_was_looked_at(office: Office) -> None:
    pair = await office.found()
    await office.window.revise(LATER, 1, form(2, **AGAIN, level="poor_2"))
    stale = await office.decide(pair, "same")
    assert (stale["status"], stale["household_id"], stale["current_revision"]) == (409, LATER, 2)
    looked_at = {"revisions": [1, 2]}
    answers = await asyncio.gather(*(office.decide(pair, "same", **looked_at) for _ in range(4)))
    assert [answer["decision"] for answer in answers] == ["same"] * 4
    assert (await office.decide(pair, "different", **looked_at))["status"] == 409
    assert len((await office.call("GET", f"/{pair['pair']}"))["decisions"]) == 1


async def test_a_pair_is_told_only_where_both_households_are_in_the_area(open_window: Window) -> None:
    office = Office(open_window)
    await open_window.register(form(1), "1")
    await open_window.register(form(2, **AGAIN, village=URBAN), "2")
    pair = await office.found()
    assert await office.call("GET", "", RURAL[:6]) == []
    assert (await office.call("GET", f"/{pair['pair']}", RURAL[:6]))["status"] == 404


async def test_names_are_shown_to_those_alone_who_may_read_households(office: Office) -> None:
    pair = await office.found()
    shown = await office.call("GET", f"/{pair['pair']}", actions=["household.duplicates"])
    assert shown["members"]
    assert not any("first" in each or "later" in each for each in shown["members"])
    assert (await office.call("POST", f"/{pair['pair']}/undo", actions=ACTIONS))["status"] == 403


async def test_a_search_goes_on_where_a_killed_service_left_it(window: Window) -> None:
    async with window.running():
        await window.register(form(1), "1")
        await window.register(form(2, **AGAIN), "2")
    await store_duplicates.add_search(window.db, Search(SEARCH, "waiting", 20, "x", "", NOW))
    async with window.running():
        await until(lambda: window.db.fetchval("select step > 0 from duplicate_search"))
    left_at = await window.db.fetchval("select step from duplicate_search")
    async with window.running():
        finished = "select state = 'finished' from duplicate_search"
        await until(lambda: window.db.fetchval(finished))
    assert left_at > 0
    assert await window.db.fetchval("select count(*) from duplicate_pair") == 1


async def test_a_search_that_needs_more_memory_than_it_may_take_says_what_to_do(window: Window) -> None:
    async with window.running(search_memory_mb=1):
        await window.register(form(1), "1")
        run = await Office(window).search()
    assert run["state"] == "failed"
    assert "TONLE_SEARCH_CHUNK_PERSONS" in run["remedy"]


async def test_a_decision_written_down_is_never_changed(office: Office) -> None:
    pair = await office.found()
    await office.decide(pair, "different")
    with pytest.raises(RestrictViolationError):
        await office.window.db.execute("update duplicate_decision set decision = 'same'")
