"""Scoring alone, on one core: from people decoded to the decisions of every programme, beside a bare loop.

The bare loop adds up one programme's riel from birth dates, by hand: no lines, reasons, waivers or others.
"""

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from benchmarks import history, results
from contracts.eligibility import ProgrammeDecision
from contracts.household import AreaType, Condition, Level, Purpose
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.facts import People, age_on
from services.eligibility.grounds import Known, decide
from services.eligibility.packages import Judgement, Panel
from services.eligibility.programmes import Programme
from services.eligibility.scoring import Occasion
from services.eligibility.structs import read
from services.registration.registering import fresh_person_ids
from tonle.stack.errors import StackError

HOUSEHOLDS = 20_000
SEED = 9
JUDGED_ON = date(2023, 6, 1)
PERIOD = "2023-06"
BY_HAND = "covid-19-cash-transfer"
CURVE = range(1, 11)
RIEL_FILLED_IN = 10_000
Say = Callable[[str], None]
Decided = list[tuple[ProgrammeDecision, ...]]


class Home(NamedTuple):
    """A household as eligibility knows it once its seal is open."""

    commune: str
    area_type: AreaType
    level: Level
    people: People


def measure(say: Say) -> results.Figures:
    """The figures of the programmes in force, of the bare loop, and of one to ten programmes at once."""
    plain = list(_plain())
    began = time.process_time()
    homes = [_decoded(*each) for each in plain]
    decoded = HOUSEHOLDS / (time.process_time() - began)
    programmes = read_programmes(FOLDER / "programmes")
    in_force = [each for each in programmes.values() if each.in_force(JUDGED_ON)]
    speed, found = _speed(Panel(programmes), in_force, homes)
    say(f"scoring {speed:,.0f} households a second and core, {len(in_force)} programmes in force")
    floor = _by_hand(homes, in_force, found)
    curve = _curve(homes)
    for number, each in curve.items():
        say(f"{number:>2} programmes: {each:,} a second and core")
    return {
        "scoring_per_second_core": round(speed),
        "scoring_programmes": len(in_force),
        "scoring_decode_per_second_core": round(decoded),
        "scoring_floor_per_second_core": round(floor),
        "scoring_floor_ratio": results.ratio(speed, floor),
        "scoring_per_second_core_of": curve,
    }


def _plain() -> Iterator[tuple[str, AreaType, Level, bytes]]:
    for each in history.households(SEED, HOUSEHOLDS):
        persons = each.content().persons_of(fresh_person_ids(len(each.members)))
        yield each.commune, AreaType(each.area_type), Level(each.level), persons


def _decoded(commune: str, area: AreaType, level: Level, persons: bytes) -> Home:
    return Home(commune, area, level, read(People, persons))


def _speed(panel: Panel, judged: Sequence[Programme], homes: Sequence[Home]) -> tuple[float, Decided]:
    """Households a second of CPU time, and what was decided; nothing is remembered from before."""
    occasion = Occasion(JUDGED_ON, "bench", PERIOD)
    judgements = [Judgement(each, occasion) for each in judged]
    gc.collect()
    gc.freeze()
    began = time.process_time()
    found = [decide(panel, judgements, 1, home, Known(home.people)) for home in homes]
    return len(homes) / (time.process_time() - began), found


def _by_hand(homes: Sequence[Home], in_force: Iterable[Programme], found: Decided) -> float:
    """The floor's speed. Raises `StackError` where it comes to another sum than the programme itself."""
    programme = next(each for each in in_force if each.id == BY_HAND)
    rates = programme.rates(JUDGED_ON) or {}
    began = time.process_time()
    riel = sum(_riel(home, rates.get((home.area_type.value, home.level.value))) for home in homes)
    speed = len(homes) / (time.process_time() - began)
    if riel != (decided := sum(each.amount for made in found for each in made if each.programme == BY_HAND)):
        raise StackError(f"{decided:,} riel were decided, by hand it is {riel:,}.", "One of them is wrong.")
    return speed


def _riel(home: Home, rates: Mapping[str, int] | None) -> int:
    card = home.people.equity_card
    if rates is None or (card and card.expires_on and card.expires_on < JUDGED_ON):
        return 0
    consented = Purpose.HEALTH_DATA in home.people.consents
    members = vulnerable = 0
    for member in home.people.members:
        if member.birth_date > JUDGED_ON:
            continue
        members += 1
        vulnerable += (
            not 5 < age_on(member.birth_date, JUDGED_ON) < 60
            or Condition.DISABILITY in member.conditions
            or (consented and Condition.HIV in member.conditions)
        )
    due = members * rates["member"] + vulnerable * rates["vulnerable_member"]
    return rates["household"] + due if members else 0


def _curve(homes: Sequence[Home]) -> dict[int, int]:
    """Households a second and core by the number of programmes, of all files put in force on the day."""
    found = {}
    for number in CURVE:
        programmes = {
            name: _put_in_force(each) for name, each in read_programmes(FOLDER / "programmes").items()
        }
        judged = list(programmes.values())[:number]
        found[number] = round(_speed(Panel(programmes), judged, homes)[0])
    return found


def _put_in_force(programme: Programme) -> Programme:
    """The last version, on any day; a rate that was not found is filled in with some number."""
    version = programme.document.versions[-1]
    rates = [
        each.model_copy(update={"riel": RIEL_FILLED_IN}) if each.riel is None else each
        for each in version.rates
    ]
    always = version.model_copy(update={"valid_from": date.min, "valid_to": None, "rates": tuple(rates)})
    document = programme.document.model_copy(update={"draft": False, "versions": (always,)})
    return replace(programme, document=document, missing=())
