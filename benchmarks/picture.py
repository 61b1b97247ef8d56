"""The figures as an SVG picture: households per second beside floor, baseline and target; CPU by process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, BAR, STEP = 860, 150, 90, 22, 34
TARGET, AIM = 2_500, 4_000
SCORING_TARGET = 20_000
INK, FAINT, GRID = "#1f2937", "#6b7280", "#e5e7eb"
SPEEDS = (
    ("baseline_households_per_second", "baseline", "#9ca3af"),
    ("households_per_second", "Tonle", "#0e7490"),
    ("floor_households_per_second", "floor", "#9ca3af"),
)
HOPS = (
    ("registration", "#0e7490"),
    ("eligibility", "#0891b2"),
    ("payments", "#155e75"),
    ("notifications", "#06b6d4"),
    ("postgres", "#4d7c0f"),
    ("kafka", "#a16207"),
    ("partner_wing", "#9ca3af"),
    ("gateway", "#9ca3af"),
)
NAMES = {
    "partner_wing": "the partner",
    "gateway": "the SMS gateway",
    "postgres": "PostgreSQL",
    "kafka": "Kafka",
}


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its length's value, its colour, and what stands at its end."""

    name: str
    value: float
    colour: str
    label: str


def draw(figures: Mapping[str, object]) -> str:
    """An SVG of what `results.merge` made; what was never measured is left out."""
    speeds = [
        Bar(name, float(str(figures[key])), colour, f"{float(str(figures[key])):,.0f}")
        for key, name, colour in SPEEDS
        if key in figures
    ]
    used = _cpu_us(figures)
    marks = {"target": TARGET, "aim": AIM}
    top = _panel(40, "Households per second, import to SMS sent", speeds, marks)
    below = 40 + 70 + STEP * len(speeds)
    cpu = _panel(below, f"CPU per household, µs (all: {sum(bar.value for bar in used):,.0f})", used, {})
    height = below + 70 + STEP * len(used)
    body = "\n".join([*top, *cpu, _text(LEFT, height - 30, _measured(figures), FAINT, 12)])
    if scored := _scored(figures):
        title = "Households decided a second on one core, by the number of programmes"
        panel = _panel(height + 10, title, scored, {"target": SCORING_TARGET})
        height += 80 + STEP * len(scored)
        body = "\n".join([body, *panel, _text(LEFT, height - 14, _scored_when(figures), FAINT, 12)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif">\n<title>{escape(_summary(speeds))}</title>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _cpu_us(figures: Mapping[str, object]) -> list[Bar]:
    bars = []
    for name, colour in HOPS:
        if (seconds := figures.get(f"cpu_s_by_process_{name}")) is not None:
            spent = float(str(seconds)) / float(str(figures["households"])) * 1e6
            bars.append(Bar(NAMES.get(name, name), spent, colour, f"{spent:,.0f}"))
    return bars


def _scored(figures: Mapping[str, object]) -> list[Bar]:
    """The curve of scoring alone."""
    curve = [(f"{number}", f"scoring_per_second_core_of_{number}", "#0e7490") for number in range(1, 11)]
    return [
        Bar(name, float(str(figures[key])), colour, f"{float(str(figures[key])):,.0f}")
        for name, key, colour in curve
        if key in figures
    ]


def _scored_when(figures: Mapping[str, object]) -> str:
    commit, date = (str(figures.get(f"eligibility_{name}", "")) for name in ("commit", "date"))
    return f"by CPU time, nothing remembered from before; commit {commit}, {date[:10]}"


def _panel(top: int, title: str, bars: Sequence[Bar], marks: Mapping[str, float]) -> list[str]:
    """A title and its bars; marks are dashed lines across them."""
    longest = max([*(bar.value for bar in bars), *marks.values()], default=1.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / longest
    drawn = [_text(LEFT, top, title, INK, 16, weight="600")]
    first = top + 30
    for name, value in marks.items():
        x = LEFT + value * scale
        drawn.append(
            f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{first - 4}" y2="{first + STEP * len(bars)}" '
            f'stroke="{FAINT}" stroke-dasharray="4 3"/>'
        )
        drawn.append(_text(x, first - 8, f"{name} {value:,.0f}", FAINT, 11, anchor="middle"))
    for number, bar in enumerate(bars):
        y, long = first + STEP * number + 6, max(1.0, bar.value * scale)
        drawn.append(
            f'<rect x="{LEFT}" y="{y}" width="{long:.1f}" height="{BAR}" fill="{bar.colour}" rx="2"/>'
        )
        drawn.append(_text(LEFT - 10, y + 16, bar.name, INK, 13, anchor="end"))
        drawn.append(_text(LEFT + long + 6, y + 16, bar.label, INK, 13))
    return drawn


def _text(
    x: float, y: float, text: str, colour: str, size: int, *, weight: str = "400", anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _measured(figures: Mapping[str, object]) -> str:
    if "pipeline_commit" not in figures:
        return ""
    households = int(str(figures["households"]))
    return (
        f"{households:,} households on {figures['cores']} cores that broker, database and simulators share; "
        f"commit {figures['pipeline_commit']}, {str(figures['pipeline_date'])[:10]}"
    )


def _summary(bars: Sequence[Bar]) -> str:
    return "Households per second: " + ", ".join(f"{bar.name} {bar.label}" for bar in bars)
