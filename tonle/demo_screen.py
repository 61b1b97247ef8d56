"""What the demo shows: set-up steps, one redrawn screen of the four hops, and how it ended."""

import io
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tonle.hops import Hop, Sum, bars
from tonle.stack.supervisor import Step

PLAIN_LINE_S = 3.0
WIDTH = 108
BAR_WIDTH = 15
_CREDIT = re.compile(r" *<!-- Generated with Rich .*? -->\n")
_FONTS = re.compile(r"@font-face \{\{.*?\n    \}\}\n", re.DOTALL)


@dataclass(frozen=True)
class Look:
    """One look at the flow: seconds since the import began, the hops, households per second through each."""

    seconds: float
    hops: tuple[Hop, ...]
    rates: tuple[float, ...]


@dataclass(frozen=True)
class Ending:
    """What the last screen says."""

    look: Look
    sums: Sequence[Sum]
    provinces: Mapping[str, int]
    story: Sequence[str]
    verdict: Sequence[str]
    passed: bool


@dataclass
class Screen:
    """A terminal is redrawn; anything else gets one plain line every few seconds."""

    console: Console
    households: int
    _live: Live | None = None
    _spoken: float = field(default_factory=time.monotonic)

    def step(self, step: Step) -> None:
        """One step of setting up, once it is done; what takes long is announced, too."""
        if step.seconds is not None:
            done = f"  [green]✓[/] {step.name:<20} {step.seconds:6.1f} s  [dim]{step.detail}[/]"
            self.console.print(done, soft_wrap=True)
        elif step.detail.startswith("downloading"):
            self._now_and_then(f"  {step.name}: {step.detail}")

    @contextmanager
    def timed(self, name: str) -> Iterator[list[str]]:
        """A step of the demo's own; what is appended to the list stands beside it."""
        began, said = time.monotonic(), list[str]()
        yield said
        self.step(Step(name, ", ".join(said), time.monotonic() - began))

    @contextmanager
    def following(self) -> Iterator[None]:
        """While the flow runs: `look` redraws."""
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None

    def look(self, look: Look) -> None:
        """Show how far it is."""
        if self._live is not None:
            self._live.update(flow(look, self.households), refresh=True)
        else:
            self._now_and_then(plain(look))

    def end(self, ending: Ending) -> None:
        """The last screen."""
        self.console.print(last_screen(ending, self.households, self.console.width))

    def _now_and_then(self, line: str) -> None:
        if time.monotonic() - self._spoken >= PLAIN_LINE_S:
            self._spoken = time.monotonic()
            self.console.print(line, highlight=False, soft_wrap=True)


def flow(look: Look, households: int) -> Panel:
    """The four hops as one panel."""
    table = Table(box=None, expand=True, pad_edge=False, header_style="bold")
    for name in ("", "households", " ", "riel", "per second", "waiting"):
        table.add_column(name, justify="right" if name.strip() else "left", no_wrap=True)
    table.add_column("", ratio=1)
    for hop, rate in zip(look.hops, look.rates, strict=True):
        done = min(hop.households, households)
        table.add_row(
            Text(hop.name, style="bold cyan"),
            f"{hop.households:,}",
            ProgressBar(total=max(1, households), completed=done, width=10, complete_style="cyan"),
            "" if hop.riel is None else f"{hop.riel:,}",
            f"{rate:,.0f}",
            Text(f"{hop.waiting:,}", style="yellow" if hop.waiting else "dim"),
            Text(parts(hop), style="dim"),
        )
    return Panel(
        table, title=f"Tonle · {households:,} households · {look.seconds:.1f} s", border_style="cyan"
    )


def parts(hop: Hop) -> str:
    """A hop's parts, those that are not nothing."""
    return ", ".join(f"{name} {count:,}" for name, count in hop.parts if count)


def plain(look: Look) -> str:
    """The same as one line."""
    said = (
        f"{hop.name} {hop.households:,}"
        + (f" ({hop.riel:,} riel)" if hop.riel is not None else "")
        + f" {rate:,.0f}/s waiting {hop.waiting:,}"
        for hop, rate in zip(look.hops, look.rates, strict=True)
    )
    return f"{look.seconds:6.1f} s  " + " | ".join(said)


def last_screen(ending: Ending, households: int, width: int) -> Group:
    """Flow, sums, provinces, one story and the verdict, for a terminal of so many characters."""
    told = [_told(line, width) for line in ending.story]
    verdict = [Text(line) for line in ending.verdict]
    return Group(
        flow(ending.look, households),
        Panel(Group(*map(_sum, ending.sums)), title="Sums that close, in households", border_style="blue"),
        Panel(
            _provinces(ending.provinces, 2 if width >= WIDTH else 1),
            title="Riel by province",
            border_style="blue",
        ),
        Panel(Group(*told), title="One household's story", border_style="blue"),
        Panel(Group(*verdict), title="Proof", border_style="green" if ending.passed else "red"),
    )


def save_picture(path: Path, ending: Ending, households: int) -> None:
    """The last screen as an SVG file that asks nobody for anything: fonts are the reader's own."""
    console = Console(record=True, width=WIDTH, force_terminal=True, file=io.StringIO())
    console.print(last_screen(ending, households, WIDTH))
    svg = console.export_svg(title="make demo", code_format=_FONTS.sub("", CONSOLE_SVG_FORMAT))
    path.write_text(_CREDIT.sub("", svg), encoding="utf-8")


def _provinces(riel: Mapping[str, int], columns: int) -> Table:
    """Bars in falling order, in one or two columns."""
    drawn = [
        Text(f"{name:<17}{amount:>15,}  ", no_wrap=True).append(bar, style="green")
        for name, amount, bar in bars(riel, BAR_WIDTH)
    ]
    rows = -(-len(drawn) // columns)
    table = Table.grid(expand=True)
    for row in zip_longest(*(drawn[start : start + rows] for start in range(0, len(drawn), rows))):
        table.add_row(*row)
    return table


def _told(line: str, width: int) -> RenderableType:
    # Khmer is drawn wider than its cells are counted: room is left beside it.
    return Padding(Text(line), (0, width // 3 if line.startswith("SMS ") else 0, 0, 0))


def _sum(each: Sum) -> Text:
    return Text("✓ " if each.closes else "✗ ", style="green" if each.closes else "bold red").append(
        str(each), style="default"
    )
