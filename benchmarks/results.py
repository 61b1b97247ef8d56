"""The figures: flat, merged into one file with the commit and date they were measured at, and as a table."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.watch import whole

LATEST = Path(__file__).parent / "results" / "latest.json"
Figures = Mapping[str, object]
USED = "cpu_s_by_process"
TARGETS: Mapping[str, tuple[str, float]] = {
    "households_per_second": ("at least", 2_500),
    "floor_ratio": ("at least", 0.5),
    "baseline_ratio": ("at least", 10),
    "rss_mb_max": ("under", 300),
    "latency_ms_p50": ("under", 300),
    "latency_ms_p99": ("under", 1_000),
    "scoring_per_second_core": ("at least", 20_000),
    "generate_per_second": ("at least", 20_000),
    "simulate_700k_s": ("under", 60),
    "shock_50k_s": ("under", 60),
    "growth_cpu_spread": ("at most", 0.2),
    "growth_speed_spread": ("at most", 0.2),
    "payments_issued_per_second": ("at least", 3_000),
    "reports_per_second": ("at least", 3_000),
    "reconcile_700k_s": ("under", 180),
    "pain002_700k_s": ("under", 180),
    "payments_rss_mb": ("under", 300),
    "sms_per_second_core": ("at least", 4_000),
    "sms_rate_error_percent": ("at most", 2),
}


def flat(figures: Figures, above: str = "") -> dict[str, object]:
    """A mapping within a mapping becomes keys joined by `_`."""
    flattened: dict[str, object] = {}
    for name, value in figures.items():
        key = f"{above}{name}".replace("-", "_")
        flattened |= flat(value, f"{key}_") if isinstance(value, Mapping) else {key: value}
    return flattened


def merge(latest: Figures, parts: Mapping[str, Figures], commit: str, date: str) -> dict[str, object]:
    """The latest figures with those of some parts measured anew, and each part's commit and date.

    Whatever bears the name of such a part and is not measured any more goes.
    """
    merged = dict(latest)
    for part, figures in parts.items():
        merged = {key: value for key, value in merged.items() if not key.startswith(f"{part}_")}
        merged |= {**flat(figures), f"{part}_commit": commit, f"{part}_date": date}
    return dict(sorted(merged.items()))


def ratio(ours: object, theirs: object) -> float:
    """Ours as a multiple of theirs, both numbers, to three digits after the point."""
    return round(float(str(ours)) / float(str(theirs)), 3)


def spread(values: Sequence[float]) -> float:
    """How far the extremes are from each other, as a share of the first: 0.2 is 20%."""
    return round((max(values) - min(values)) / values[0], 3)


def meets(name: str, value: object) -> bool | None:
    """Whether a figure is within its target; None where it has none."""
    if name not in TARGETS or not isinstance(value, (int, float)):
        return None
    how, target = TARGETS[name]
    return value >= target if how == "at least" else value <= target if how == "at most" else value < target


def read(path: Path) -> dict[str, object]:
    """The figures measured before; empty when there are none."""
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}


def write(path: Path, figures: Figures) -> None:
    """Replace the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n")


def commit() -> str:
    """The checked-out commit, `-dirty` when files differ from it; `unknown` outside a repository."""
    try:
        short = _git("rev-parse", "--short", "HEAD")
        own = (":!benchmarks/results", ":!docs/images/bench.svg")
        return short + ("-dirty" if _git("status", "--porcelain", "--", ".", *own) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    answer = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


def show(console: Console, parts: Mapping[str, Figures]) -> None:
    """A table of what was measured, with targets where there are some; then where the CPU time went."""
    table = Table(title="Measured", title_justify="left", header_style="bold")
    for name in ("part", "figure", "value", "target", ""):
        table.add_column(name, justify="right" if name == "value" else "left")
    for part, figures in parts.items():
        plain = {name: value for name, value in figures.items() if not name.endswith(USED)}
        for number, row in enumerate(rows(flat(plain))):
            table.add_row("" if number else part, *row)
        table.add_section()
    console.print(table)
    used = {part: us for part, figures in parts.items() if (us := cpu_us(part, figures))}
    if used:
        console.print(_cpu_table(used))


def rows(figures: Figures) -> Iterator[tuple[str, str, str, str]]:
    """Name, value, target and verdict of each figure."""
    for name, value in figures.items():
        met = meets(name, value)
        target = " ".join(map(str, TARGETS[name])) if met is not None else ""
        verdict = "" if met is None else "met" if met else "NOT met"
        yield name, _text(value), target, verdict


def cpu_us(part: str, figures: Figures) -> dict[str, float]:
    """Microseconds of CPU for one household by process; empty where a part does not say."""
    own = {name.removeprefix(f"{part}_"): value for name, value in figures.items()}
    used = own.get(USED)
    if not isinstance(used, Mapping):
        return {}
    households = int(str(own["households"]))
    return {name: float(str(seconds)) / households * 1e6 for name, seconds in used.items()}


def _cpu_table(used: Mapping[str, Mapping[str, float]]) -> Table:
    """A row for each process, a column for each part."""
    table = Table(title="CPU of one household, µs", title_justify="left", header_style="bold")
    table.add_column("process")
    for part in used:
        table.add_column(part, justify="right")
    for name in dict.fromkeys(name for each in used.values() for name in each):
        cells = (f"{each[name]:,.0f}" if name in each else "" for each in used.values())
        table.add_row(name.replace("postgres_", "  for "), *cells)
    table.add_section()
    table.add_row("all", *(f"{whole(each):,.0f}" for each in used.values()))
    return table


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)
