"""A decision in plain words, English and Khmer: what is paid for what, and which conditions hold. Pure."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from contracts.eligibility import Outcome, ProgrammeDecision
from services.eligibility.documents import Words
from services.eligibility.programmes import Programme

_ALWAYS: Mapping[str, Words] = MappingProxyType(
    {
        "programme-not-in-force": Words(
            en="the programme is in force on that day", km="កម្មវិធីនៅមានសុពលភាពនៅថ្ងៃនោះ"
        ),
        "level-not-covered": Words(
            en="the household's level is one the programme is for", km="កម្រិតក្រីក្ររបស់គ្រួសារស្ថិតក្នុងកម្មវិធី"
        ),
    }
)
_SOMETIMES: Mapping[str, Words] = MappingProxyType(
    {
        "nothing-due": Words(en="there is something to pay for", km="មានអ្វីដែលត្រូវទូទាត់"),
        "not-due": Words(en="the programme pays in the month of this cycle", km="កម្មវិធីទូទាត់នៅក្នុងខែនៃវដ្តនេះ"),
        "registered-too-late": Words(en="the household was registered in time", km="គ្រួសារត្រូវបានចុះបញ្ជីទាន់ពេល"),
    }
)
_NEEDS = Words(en="the household is entitled to {}", km="គ្រួសារមានសិទ្ធិទទួល {}")
_YIELDS = Words(en="the household is not entitled to {}", km="គ្រួសារមិនមានសិទ្ធិទទួល {}")


_ASIDE = (
    " On appeal, two people set aside what does not hold.",
    " តាមបណ្តឹងតវ៉ា មន្រ្តីពីររូបបានលើកលែងលក្ខខណ្ឌដែលមិនត្រូវបានបំពេញ។",
)
_NOTHING_ASIDE = ("", "")


class Asked(NamedTuple):
    """A condition and whether it holds."""

    reason: str
    holds: bool
    en: str
    km: str


class Explanation(NamedTuple):
    """A decision, each condition it hangs on, and both as sentences."""

    decision: ProgrammeDecision
    asked: tuple[Asked, ...]
    en: str
    km: str


def explain(programme: Programme, decision: ProgrammeDecision) -> Explanation:
    """What was decided, in words; reasons that no condition of today's file names are left as codes."""
    asked = tuple(
        Asked(reason, reason not in decision.reasons, words.en, words.km)
        for reason, words in _asked(programme, decision)
    )
    if decision.outcome is Outcome.ELIGIBLE:
        aside = _ASIDE if decision.appeal_id else _NOTHING_ASIDE
        paid = _paid_en(programme, decision), _paid_km(programme, decision)
        return Explanation(decision, asked, paid[0] + aside[0], paid[1] + aside[1])
    failed = [each for each in asked if not each.holds]
    name, day = programme.document.name, decision.as_of
    en = f"{name.en} gives nothing, judged on {day}. It asks, and this does not hold: "
    km = f"{name.km} មិនផ្តល់ប្រាក់ទេ គិតត្រឹមថ្ងៃ {day} ព្រោះលក្ខខណ្ឌនេះមិនត្រូវបានបំពេញ៖ "
    return Explanation(
        decision,
        asked,
        en + "; ".join(each.en for each in failed) + ".",
        km + "; ".join(each.km for each in failed) + "។",
    )


def _asked(programme: Programme, decision: ProgrammeDecision) -> Iterator[tuple[str, Words]]:
    yield from _ALWAYS.items()
    for each in programme.document.conditions:
        yield each.reason, Words(en=each.en, km=each.km)
    stacking = programme.document.stacking
    for name in stacking.needs:
        yield f"needs-{name}", _about(_NEEDS, name)
    for other in stacking.yields_to:
        yield f"yields-to-{other.programme}", _about(_YIELDS, other.programme)
    yield from ((reason, words) for reason, words in _SOMETIMES.items() if reason in decision.reasons)


def _about(words: Words, programme: str) -> Words:
    return Words(en=words.en.format(programme), km=words.km.format(programme))


def _paid_en(programme: Programme, decision: ProgrammeDecision) -> str:
    lines = (
        f"{line.amount:,} {programme.document.lines[line.component].en} ({line.count} × {line.rate:,})"
        for line in decision.lines
    )
    name = programme.document.name.en
    return f"{name} gives {decision.amount:,} riel, judged on {decision.as_of}: {', '.join(lines)}."


def _paid_km(programme: Programme, decision: ProgrammeDecision) -> str:
    lines = (
        f"{line.amount:,} រៀល {programme.document.lines[line.component].km} ({line.count} × {line.rate:,})"
        for line in decision.lines
    )
    name = programme.document.name.km
    return f"{name} ផ្តល់ {decision.amount:,} រៀល គិតត្រឹមថ្ងៃ {decision.as_of}៖ {', '.join(lines)}។"
