"""A decision made again from the log and the files of that time, held against what was told. Pure."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from pydantic import JsonValue

from contracts.eligibility import EligibilityScored, ProgrammeDecision
from contracts.household import HouseholdRegistered
from contracts.wire import Received
from services.eligibility.agenda import day_of
from services.eligibility.grounds import Known, decide
from services.eligibility.packages import Judgement, Panel
from services.eligibility.scoring import Occasion


class Verdict(StrEnum):
    """`forgotten`: its key was destroyed, so it is counted only. `missing`: something it rests on is not
    there: its registration, a report, an appeal, a shock, or the programme files."""

    EQUAL = "equal"
    DIFFERS = "differs"
    FORGOTTEN = "forgotten"
    MISSING = "missing"


class Finding(NamedTuple):
    """What came out for one event; `programmes` differ, by id, sensitive ones without a name."""

    verdict: Verdict
    programmes: tuple[str, ...] = ()
    why: str = ""


def recompute(
    panel: Panel,
    told: EligibilityScored,
    sensitive: tuple[ProgrammeDecision, ...],
    registered: Received[HouseholdRegistered],
    known: Known,
) -> Finding:
    """Decide again what an event told, on what it rests on, and compare as canonical JSON.

    `sensitive` are its sealed decisions, opened; `known` holds reports and appeals to the numbers it names,
    and the shocks it names.
    """
    recorded = {each.programme: each for each in (*told.decisions, *sensitive)}
    if unknown := recorded.keys() - panel.programmes.keys():
        return Finding(Verdict.MISSING, why=f"{len(unknown)} programmes are not in the files of that time")
    registered_on = day_of(registered.time)
    judgements = [
        _judgement(programme.id, panel, recorded, registered_on.toordinal())
        for programme in panel.programmes.values()
        if programme.id in recorded
    ]
    made = {each.programme: each for each in decide(panel, judgements, told.revision, registered.data, known)}
    unlike = [name for name in recorded if canonical(recorded[name]) != canonical(made[name])]
    shown = {"(sensitive)" if name in panel.sensitive else name for name in unlike}
    return Finding(Verdict.DIFFERS if unlike else Verdict.EQUAL, tuple(sorted(shown)))


def canonical(decision: ProgrammeDecision) -> bytes:
    """A decision as JSON with sorted keys and no space between; equal decisions have equal bytes."""
    plain: JsonValue = decision.model_dump(mode="json")
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _judgement(
    name: str, panel: Panel, recorded: Mapping[str, ProgrammeDecision], registered_on: int
) -> Judgement:
    before = recorded[name]
    occasion = Occasion(before.as_of, before.cycle_id, before.period)
    late = registered_on - before.as_of.toordinal() if before.cycle_id is not None else 0
    return Judgement(panel.programmes[name], occasion, late)
