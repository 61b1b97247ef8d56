"""What one programme decides about one household on one day: amount, lines, reasons. Pure."""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from contracts.eligibility import Line, Outcome, ProgrammeDecision
from services.eligibility.expressions import Value
from services.eligibility.facts import Facts
from services.eligibility.programmes import Programme, Rates
from services.eligibility.reading import ProgrammeRefused

DECISIONS_REMEMBERED = 16_384


class Occasion(NamedTuple):
    """What is decided for: the day that is judged, and the cycle and its period where there is one."""

    as_of: date
    cycle_id: str | None = None
    period: str | None = None


def decide(programme: Programme, facts: Facts, occasion: Occasion) -> ProgrammeDecision:
    """The programme's answer on facts of the occasion's day; a refusal names every reason as a code.

    It hangs on the few facts that the programme reads alone, so that most households meet an answer that
    was given before: that one is given again.
    """
    return _decide(programme, programme.asked(facts.circumstances, facts.persons), occasion)


@lru_cache(DECISIONS_REMEMBERED)
def _decide(programme: Programme, asked: tuple[Value, ...], occasion: Occasion) -> ProgrammeDecision:
    facts = dict(zip(programme.reads, asked, strict=True))
    rates = programme.rates(occasion.as_of)
    reasons = tuple(_reasons(programme, facts, in_force=rates is not None))
    lines: tuple[Line, ...] = ()
    if rates is not None and not reasons:
        lines = tuple(_lines(programme, rates[str(facts["area"]), str(facts["level"])], facts))
        reasons = () if lines else ("nothing-due",)
    return ProgrammeDecision(
        programme=programme.id,
        programme_hash=programme.hash,
        purpose=programme.document.purpose,
        as_of=occasion.as_of,
        cycle_id=occasion.cycle_id,
        period=occasion.period,
        outcome=Outcome.REFUSED if reasons else Outcome.ELIGIBLE,
        amount=sum(line.amount for line in lines),
        lines=lines,
        reasons=reasons,
    )


def _reasons(programme: Programme, facts: Mapping[str, Value], *, in_force: bool) -> Iterator[str]:
    if not in_force:
        yield "programme-not-in-force"
    if facts["level"] not in programme.document.levels:
        yield "level-not-covered"
    for reason, holds in programme.conditions.items():
        if not holds.value(facts):
            yield reason


def _lines(programme: Programme, rates: Rates, facts: Mapping[str, Value]) -> Iterator[Line]:
    for component, rate in rates.items():
        if count := int(programme.counts[component].value(facts)):
            yield Line(component=component, count=count, rate=rate, amount=count * rate)


class Tried(NamedTuple):
    """A worked example of a file: what it must come out as, and what it comes out as."""

    name: str
    expected: str
    found: str


def try_examples(programme: Programme) -> list[Tried]:
    """Decide a programme's worked examples."""
    tried = []
    for example in programme.document.examples:
        household = example.household._replace(members=len(example.persons))
        decision = decide(programme, Facts(household, example.persons), Occasion(example.as_of))
        expected = _said(example.amount, example.refused)
        tried.append(Tried(example.name, expected, _said(decision.amount, decision.reasons)))
    return tried


def check_examples(programme: Programme) -> None:
    """Raises `ProgrammeRefused` where a worked example of the file comes out otherwise."""
    wrong = [
        f"{programme.id}.yaml: example '{name}' comes out as {found}; correct it or the rates"
        for name, expected, found in try_examples(programme)
        if found != expected
    ]
    if wrong:
        raise ProgrammeRefused("\n".join(wrong))


def _said(amount: int, reasons: tuple[str, ...]) -> str:
    return ", ".join(reasons) or f"{amount} riel"
