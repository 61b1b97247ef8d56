"""A household's revisions, exit and cycles: what is scored, and that no order of events matters."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.eligibility import Outcome
from contracts.household import AreaType, Level
from postbox.message import Batch
from services.eligibility import cycles, households
from services.eligibility.cycles import Caseload, Cycle, Misplaced
from services.eligibility.grounds import Registration
from services.eligibility.households import Desk, Household, Scored, Standing, UnknownWord
from services.eligibility.packages import Panel
from tests.unit.eligibility.samples import (
    CYCLE,
    JUNE,
    MINISTRIES,
    PROGRAMME,
    START,
    Event,
    Sealer,
    changed,
    cycle_changed,
    desk,
    exited,
    history,
)
from vault.sealing import KeyMissing

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def opened() -> Cycle:
    cycle = cycles.take(None, cycle_changed())
    assert cycle is not None
    return cycle


def test_a_household_is_scored_for_the_open_cycle_on_its_reference_date() -> None:
    sealer = Sealer()
    household = households.register(desk(sealer, [opened()]), None, sealer.registered())
    assert household is not None
    (scored,) = household.scored
    (decision,) = scored.decisions
    assert (decision.cycle_id, decision.period, decision.as_of) == (CYCLE, "2023-06", JUNE)
    assert (household.standing, household.riel, household.in_cycle) == (Standing.ELIGIBLE, 176_000, True)
    assert (scored.sequence, scored.revision, household.sequence) == (1, 1, 1)


def test_without_a_cycle_the_day_is_the_events_in_phnom_penh() -> None:
    sealer = Sealer()
    endless = changed("    valid_to: 2024-03-31", "    valid_to: null")
    at = Desk(Panel({endless.id: endless}), (), sealer.open)
    household = households.register(at, None, sealer.registered(minute=17 * 60))
    assert household is not None
    (decision,) = household.scored[0].decisions
    assert (decision.as_of.isoformat(), decision.cycle_id, decision.period) == ("2025-01-02", None, None)
    assert (household.standing, household.in_cycle) == (Standing.ELIGIBLE, False)


def test_a_programme_neither_in_force_nor_in_a_cycle_decides_nothing() -> None:
    sealer = Sealer()
    household = households.register(desk(sealer), None, sealer.registered())
    assert household is not None
    assert household.scored[0].decisions == ()
    assert (household.standing, household.in_cycle) == (Standing.REFUSED, False)
    late = Cycle(CYCLE, PROGRAMME.id, "2024-06", date(2024, 6, 1), 1, START)
    household = households.register(desk(sealer, [late]), None, sealer.registered())
    assert household is not None
    (decision,) = household.scored[0].decisions
    assert (decision.outcome, decision.reasons) == (Outcome.REFUSED, ("programme-not-in-force",))


def test_a_lower_or_equal_revision_is_ignored_and_a_higher_one_scored_again() -> None:
    sealer = Sealer()
    at = desk(sealer, [opened()])
    first = households.register(at, None, sealer.registered(revision=2))
    for revision in (1, 2):
        assert households.register(at, first, sealer.registered(revision=revision)) is None
    second = households.register(at, first, sealer.registered(revision=3, level=Level.NONE))
    assert second is not None
    assert [each.sequence for each in second.scored] == [1, 2]
    assert (second.standing, second.riel, second.revision) == (Standing.REFUSED, 0, 3)


@pytest.mark.parametrize(("exit_revision", "scored"), [(1, True), (2, False), (3, False)])
def test_a_revision_at_or_below_the_exit_is_kept_and_not_scored(exit_revision: int, scored: bool) -> None:
    sealer = Sealer()
    left = households.leave((), None, exited(revision=exit_revision))
    household = households.register(desk(sealer, [opened()]), left, sealer.registered(revision=2))
    assert household is not None
    assert bool(household.scored) is scored
    assert (household.revision, household.arrived is not None) == (2, True)


def test_a_lower_or_equal_exit_is_ignored() -> None:
    left = households.leave((), None, exited(revision=2))
    assert left is not None
    assert households.leave((), left, exited(revision=2)) is None
    assert households.leave((), left, exited(revision=1)) is None


@pytest.mark.parametrize("purpose", ["person", "payee"])
def test_a_household_whose_key_was_destroyed_is_forgotten_and_nothing_is_told(purpose: str) -> None:
    sealer = Sealer(destroyed={f"h-1-{purpose}"})
    household = households.register(desk(sealer), None, sealer.registered())
    assert household is not None
    assert (household.standing, household.scored, household.revision) == (Standing.FORGOTTEN, (), 1)


def test_a_household_whose_key_is_missing_waits() -> None:
    registered = Sealer().registered()
    with pytest.raises(KeyMissing) as missing:
        households.register(desk(Sealer()), None, registered)
    assert missing.value.handling == "wait"


@pytest.mark.parametrize("change", [{"area_type": AreaType.UNRECOGNISED}, {"level": Level.UNRECOGNISED}])
def test_a_word_this_version_does_not_know_parks(change: dict[str, object]) -> None:
    sealer = Sealer()
    registered = sealer.registered()
    with pytest.raises(UnknownWord, match="an area or a level this version does not know"):
        households.register(
            desk(sealer), None, replace(registered, data=registered.data.model_copy(update=change))
        )


def test_an_event_under_another_key_parks() -> None:
    sealer = Sealer()
    with pytest.raises(Misplaced):
        households.register(desk(sealer), None, replace(sealer.registered(), key="h-2"))
    with pytest.raises(Misplaced):
        households.leave((), None, replace(exited(), key="h-2"))


def test_a_household_is_scored_again_only_where_the_cycle_makes_a_difference() -> None:
    sealer = Sealer()
    household = households.register(desk(sealer), None, sealer.registered())
    assert household is not None
    kept = household.arrived
    assert kept is not None
    at = desk(sealer, [opened()])
    again = households.score_again(at, household, kept, "the cycle's event")
    assert again is not None
    assert (again.standing, again.sequence, again.scored[-1].cause.id) == (
        Standing.ELIGIBLE,
        2,
        "the cycle's event",
    )
    assert again.scored[-1].cause.correlation_id == "request-h-1"
    assert households.score_again(at, again, kept, "another event") is None
    left = households.leave((), household, exited())
    assert left is not None
    assert households.score_again(at, left, kept, "the cycle's event") is None


@dataclass
class World:
    """What the handlers and the job keep, as they keep it, for the rules to be run on."""

    sealer: Sealer
    households: dict[str, Household] = field(default_factory=dict)
    kept: dict[str, Registration] = field(default_factory=dict)
    cycles: dict[str, Cycle] = field(default_factory=dict)
    decided: dict[str, Scored] = field(default_factory=dict)
    caseloads: list[tuple[Caseload, str]] = field(default_factory=list)

    def handle(self, topic: str, events: Sequence[Event]) -> None:
        batch = Batch(list(events), NOW, holds=True)
        if topic == "cycle":
            before = dict(self.cycles)
            for cycle in batch.fold(before, cycles.take):  # type: ignore[arg-type]
                caseload = cycles.caseload(before.get(cycle.cycle_id), cycle)
                self.cycles[cycle.cycle_id] = cycle
                self.caseloads += [(caseload, "")] if caseload else []
        else:
            register = partial(households.register, desk(self.sealer, self.cycles.values()))
            rule = register if topic == "registered" else partial(households.leave, MINISTRIES)
            self._save(batch.fold(self.households, rule))
        assert not batch.parked

    def score_caseload(self, most: int) -> None:
        """One chunk of the oldest caseload."""
        if not (self.caseloads and most):
            return
        caseload, behind = self.caseloads.pop(0)
        due = [each for each in sorted(self.households) if each > behind and self._due(caseload, each)]
        for household_id in due[:most]:
            household = self.households[household_id]
            again = households.score_again(
                desk(self.sealer, self.cycles.values()), household, self.kept[household_id], caseload.cause_id
            )
            self._save([again] if again else [])
        if len(due) > most:
            self.caseloads.insert(0, (caseload, due[most - 1]))

    def end_state(self) -> dict[str, object]:
        """What holds once all caseloads are done; of a household that left, only that it did."""
        while self.caseloads:
            self.score_caseload(2)
        return {each.household_id: self._state(each) for each in self.households.values()}

    def _due(self, caseload: Caseload, household_id: str) -> bool:
        household = self.households[household_id]
        at = household.registered_at
        return at is not None and not household.has_left and (caseload.since is None or at > caseload.since)

    def _save(self, changed: Sequence[Household]) -> None:
        for each in changed:
            self.kept |= {each.household_id: each.arrived} if each.arrived else {}
            self.decided |= {each.household_id: each.scored[-1]} if each.scored else {}
            self.households[each.household_id] = each._replace(
                is_new=False, arrived=None, scored=(), letters=()
            )

    def _state(self, household: Household) -> object:
        if household.has_left:
            return "left", household.revision, household.exit_revision
        scored = self.decided[household.household_id]
        assert scored.sequence == household.sequence
        referred = sorted(each.mark for each in household.referred)
        return (
            *(household.revision, household.standing, household.riel, household.basis, scored.decisions),
            referred,
        )


@settings(max_examples=400)
@given(st.randoms(use_true_random=True))
def test_any_interleaving_repetition_and_grouping_ends_in_the_same_state(random: Random) -> None:
    sealer, topics = history(random)
    plain, drawn = World(sealer), World(sealer)
    for name in ("cycle", "registered", "exited"):
        for event in topics[name]:
            plain.handle(name, [event])
    done = dict.fromkeys(topics, 0)
    while any(done[name] < len(events) for name, events in topics.items()):
        name = random.choice(list(topics))
        told, left = topics[name][: done[name]], topics[name][done[name] :]
        again = random.sample(told, k=random.randint(0, min(2, len(told))))
        new = left[: random.randint(0, 3)]
        drawn.handle(name, [*again, *new])
        done[name] += len(new)
        drawn.score_caseload(random.randint(0, 2))
    assert drawn.end_state() == plain.end_state()
