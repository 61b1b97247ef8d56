"""`tonle check`: compares every database, every topic and the outside world's own records."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from tonle import terminal
from tonle.checking import comparisons, kept, told
from tonle.checking.comparisons import COMPARISONS, Difference, Finding
from tonle.checking.facts import Facts
from tonle.checking.told import Reading
from tonle.stack.postgres import AUDITOR
from tonle.stack.state import StackState
from tonle.stack.topics import PARTNERS

SHOWN_MOST = 1000
IN_ORDER = "events of a household rise in sequence on each topic"


@dataclass
class Audit:
    """What was compared and found. `broken`: rules of one book that do not hold, with what breaks them."""

    findings: list[Finding]
    broken: dict[str, list[str]]
    rules: int
    out_of_order: list[Difference]
    records: Reading
    parked: dict[str, int]
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        return sum(finding.lost for finding in self.findings)

    @property
    def doubled(self) -> int:
        return sum(finding.doubled for finding in self.findings)

    @property
    def differing(self) -> int:
        """What is on both sides but not alike, rules that are broken, events out of order."""
        unlike = sum(finding.differing for finding in self.findings)
        return unlike + sum(map(len, self.broken.values())) + len(self.out_of_order)

    @property
    def compared(self) -> int:
        """How many facts were held against another record of the same."""
        return sum(finding.left + finding.right for finding in self.findings)

    @property
    def passed(self) -> bool:
        return not (self.lost or self.doubled or self.differing)


async def audit(stack: StackState, say: Callable[[str], None] = lambda _text: None) -> Audit:
    """Read everything once and compare it. `stack` must run; its services may go on working meanwhile.

    Memory stays bounded: facts go to a scratch file in the data folder (about 1 kB per household).
    """
    began = time.monotonic()
    dsn = stack.postgres.dsn[AUDITOR]
    with Facts(stack.data_dir) as facts:
        say("reading the topics")
        reading = await told.read(facts, stack.kafka.broker(AUDITOR), stack.topic_prefix, PARTNERS)
        say("reading the databases")
        await kept.read(facts, dsn)
        kept.read_simulators(facts, stack.data_dir, PARTNERS)
        comparisons.derive(facts, PARTNERS)
        say("comparing")
        findings = [comparisons.compare(facts, each) for each in COMPARISONS]
        names = [topic.name for topic in told.household_topics(PARTNERS)]
        return Audit(
            findings=findings,
            broken={name: lines for name, lines in (await kept.breaches(dsn)).items() if lines},
            rules=len(kept.RULES),
            out_of_order=comparisons.out_of_order(facts, names),
            records=reading,
            parked={service: facts.count(f"{service}: parked") for service in kept.SERVICES},
            seconds=time.monotonic() - began,
        )


def as_json(found: Audit) -> dict[str, object]:
    """The whole audit as one object: totals, each comparison, each difference by name."""
    return {
        "lost": found.lost,
        "doubled": found.doubled,
        "differing": found.differing,
        "compared": found.compared,
        "seconds": round(found.seconds, 2),
        "comparisons": [
            {
                "name": each.comparison.name,
                "left": each.comparison.left,
                "right": each.comparison.right,
                "facts_left": each.left,
                "facts_right": each.right,
                "set_aside": each.set_aside,
                "lost": each.lost,
                "doubled": each.doubled,
                "differing": each.differing,
                "differences": [asdict(one) for one in each.differences],
            }
            for each in found.findings
        ],
        "rules": found.rules,
        "broken_rules": found.broken,
        "out_of_order": [asdict(one) for one in found.out_of_order],
        "records": found.records.records,
        "unreadable": {topic: count for topic, count in found.records.unreadable.items() if count},
        "parked": found.parked,
    }


def mount(app: typer.Typer) -> None:
    """Add `tonle check`."""
    app.command("check", rich_help_panel="See what happens")(check)


def check(
    as_json_: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
    most: Annotated[
        int, typer.Option(min=0, help="Differences shown per comparison; --json has them all.")
    ] = SHOWN_MOST,
) -> None:
    """Prove that nothing was lost and nothing was made twice.

    Reads every topic from its beginning, every database (read-only, as the role `auditor`), the payment
    partner's own ledger and the SMS gateway's own inbox, and compares them household by household. Ends
    with exit code 1 when anything is lost, doubled or differs. Run it when nothing waits (`tonle topics`):
    what is still on its way is not there yet.
    """
    stack = terminal.running_stack()
    with terminal.progress("Checking", 3) as advance:
        steps = iter(range(3))
        found = asyncio.run(audit(stack, lambda text: advance(next(steps), text)))
        advance(3, f"{found.compared} facts in {found.seconds:.1f} s")
    if as_json_:
        terminal.emit(as_json(found), True)
    else:
        for line in lines(found, most):
            typer.echo(line)
    if not found.passed:
        terminal.fail(
            "The records do not say the same.",
            "If `tonle topics` shows that households are still on their way, run this again afterwards.",
        )


def lines(found: Audit, most: int = SHOWN_MOST) -> list[str]:
    """The audit for people: one line per comparison and rule, differences below them by name."""
    written = []
    for each in found.findings:
        written.append(f"{_mark(each)} {each.comparison.name}: {_sides(each)}")
        written += [f"    {_named(one)}" for one in each.differences[:most]]
        if len(each.differences) > most:
            written.append(f"    and {len(each.differences) - most} more (see --json)")
    written.append(f"{'✗' if found.out_of_order else '✓'} {IN_ORDER}")
    written += [f"    {_named(one)}" for one in found.out_of_order[:most]]
    written.append(f"{'✗' if found.broken else '✓'} {found.rules} rules of the ledgers and outboxes hold")
    written += [f"    {name}: {line}" for name, texts in found.broken.items() for line in texts[:most]]
    unreadable = sum(found.records.unreadable.values())
    written.append(
        f"  {sum(found.records.records.values()):,} messages read, {unreadable} unreadable, "
        f"{sum(found.parked.values())} parked"
    )
    written.append(
        f"lost {found.lost}, doubled {found.doubled}"
        + (f", differing {found.differing}" if found.differing else "")
        + f"  ({found.compared:,} facts compared in {found.seconds:.1f} s)"
    )
    return written


def _mark(finding: Finding) -> str:
    return "✗" if finding.differences else "✓"


def _sides(finding: Finding) -> str:
    sides = f"{finding.comparison.left} {finding.left:,} = {finding.comparison.right} {finding.right:,}"
    aside = f" ({finding.set_aside} set aside)" if finding.set_aside else ""
    return sides.replace(" = ", " ≠ ") + aside if finding.differences else sides + aside


def _named(one: Difference) -> str:
    household = f"household {one.household}, " if one.household and one.household != one.key else ""
    return f"{one.kind}: {household}{one.key}: {one.left} here, {one.right} there"
