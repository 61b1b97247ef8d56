"""What one programme decides about one household on one day: amount, lines, reasons. Pure."""

from datetime import date

from contracts.eligibility import Line, Outcome, ProgrammeDecision
from contracts.household import AreaType, Level
from services.eligibility.cycles import Cycle
from services.eligibility.facts import Facts
from services.eligibility.programmes import Example, Programme, ProgrammeRefused, Rates


def decide(
    programme: Programme,
    facts: Facts,
    level: Level,
    area: AreaType,
    as_of: date,
    *,
    cycle: Cycle | None = None,
) -> ProgrammeDecision:
    """The programme's answer, judged on `as_of`; a refusal names every reason for it as a code."""
    rates = programme.rates(as_of)
    reasons = _reasons(programme, facts, level, as_of, in_force=rates is not None)
    lines = _lines(rates[area, level], facts) if rates is not None and not reasons else ()
    return ProgrammeDecision(
        programme=programme.id,
        programme_hash=programme.hash,
        purpose=programme.document.purpose,
        as_of=as_of,
        cycle_id=cycle.cycle_id if cycle else None,
        period=cycle.period if cycle else None,
        outcome=Outcome.REFUSED if reasons else Outcome.ELIGIBLE,
        amount=sum(line.amount for line in lines),
        lines=lines,
        reasons=reasons,
    )


def _reasons(
    programme: Programme, facts: Facts, level: Level, as_of: date, *, in_force: bool
) -> tuple[str, ...]:
    expired = facts.card_expires_on is not None and facts.card_expires_on < as_of
    reasons = {
        "programme-not-in-force": not in_force,
        "level-not-covered": level not in programme.document.levels,
        "card-expired": expired,
        "card-missing": programme.document.parameters.card_required and not facts.has_card,
        "no-members": facts.members == 0,
    }
    return tuple(code for code, holds in reasons.items() if holds)


def _lines(rates: Rates, facts: Facts) -> tuple[Line, ...]:
    counts = {"household": 1, "member": facts.members, "vulnerable_member": facts.vulnerable_members}
    return tuple(
        Line(component=component, count=counts[component], rate=rate, amount=counts[component] * rate)
        for component, rate in rates.items()
        if counts[component]
    )


def check_examples(programme: Programme) -> None:
    """Raises `ProgrammeRefused` where a worked example of the file comes out otherwise."""
    wrong = []
    for example in programme.document.examples:
        decision = _decide_example(programme, example)
        if (decision.amount, decision.reasons) != (example.amount, example.refused):
            got = ", ".join(decision.reasons) or f"{decision.amount} riel"
            wrong.append(
                f"{programme.id}.yaml: example '{example.name}' comes out as {got}; correct it or the rates"
            )
    if wrong:
        raise ProgrammeRefused("\n".join(wrong))


def _decide_example(programme: Programme, example: Example) -> ProgrammeDecision:
    facts = Facts(example.members, vulnerable_members=example.vulnerable_members, has_card=True)
    return decide(programme, facts, Level(example.level), AreaType(example.area), example.as_of)
