"""What one programme decides about one household on one day: amount, lines, reasons. Pure."""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from contracts.eligibility import Line, Outcome, ProgrammeDecision
from services.eligibility.appeals import OVERTURNED, Waiver
from services.eligibility.expressions import Value
from services.eligibility.facts import Facts
from services.eligibility.programmes import Programme, Rates

DECISIONS_REMEMBERED = 16_384


class Occasion(NamedTuple):
    """What is decided for: the day that is judged, and the cycle and its period where there is one."""

    as_of: date
    cycle_id: str | None = None
    period: str | None = None


def decide(
    programme: Programme,
    facts: Facts,
    occasion: Occasion,
    besides: tuple[str, ...] = (),
    waiver: Waiver | None = None,
) -> ProgrammeDecision:
    """The programme's answer on facts of the occasion's day; a refusal names every reason as a code.

    `besides` are reasons that lie outside the household: what it gets from other programmes, say. Where a
    `waiver` names every reason, the refusal is set aside, and the programme pays by its own rates.
    """
    return answer(programme, programme.asked(facts.circumstances, facts.persons), occasion, besides, waiver)


@lru_cache(DECISIONS_REMEMBERED)
def answer(
    programme: Programme,
    asked: tuple[Value, ...],
    occasion: Occasion,
    besides: tuple[str, ...] = (),
    waiver: Waiver | None = None,
) -> ProgrammeDecision:
    """The decision on the values of `programme.reads`.

    It hangs on those few alone, so that most households meet an answer that was given before: that one is
    given again.
    """
    facts = dict(zip(programme.reads, asked, strict=True))
    rates = programme.rates(occasion.as_of)
    reasons = (*_reasons(programme, facts, occasion), *besides)
    overturned = waiver is not None and bool(reasons) and waiver.reasons.issuperset(reasons)
    lines: tuple[Line, ...] = ()
    if rates is not None and (overturned or not reasons):
        lines = tuple(_lines(programme, rates[str(facts["area"]), str(facts["level"])], facts))
        reasons = reasons if lines else (*reasons, "nothing-due")
    return ProgrammeDecision(
        programme=programme.id,
        programme_hash=programme.hash,
        purpose=programme.document.purpose,
        as_of=occasion.as_of,
        cycle_id=occasion.cycle_id,
        period=occasion.period,
        outcome=Outcome.ELIGIBLE if lines else Outcome.REFUSED,
        amount=sum(line.amount for line in lines),
        lines=lines,
        reasons=(OVERTURNED, *reasons) if overturned and lines else reasons,
        appeal_id=waiver.appeal_id if waiver and overturned and lines else None,
    )


def _reasons(programme: Programme, facts: Mapping[str, Value], occasion: Occasion) -> Iterator[str]:
    if not programme.in_force(occasion.as_of):
        yield "programme-not-in-force"
    dates = programme.document.dates
    if dates and occasion.period and occasion.period not in {f"{day:%Y-%m}" for day in dates}:
        yield "not-due"
    if facts["level"] not in programme.document.levels:
        yield "level-not-covered"
    for reason, holds in programme.conditions.items():
        if not holds.value(facts):
            yield reason


def _lines(programme: Programme, rates: Rates, facts: Mapping[str, Value]) -> Iterator[Line]:
    for component, rate in rates.items():
        if count := int(programme.counts[component].value(facts)):
            yield Line(component=component, count=count, rate=rate, amount=count * rate)
