"""`report.html`: a finished demo on one page, with nothing fetched from anywhere; readable on a telephone."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from tonle.demo_run import Done
from tonle.demo_screen import Look, parts
from tonle.hops import Hop

CHART_WIDTH, CHART_HEIGHT, MARGIN = 640, 220, 34
COLOURS = ("#0b7285", "#2b8a3e", "#e67700", "#862e9c")

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, "Noto Sans Khmer", "Khmer OS", sans-serif; margin: 0 auto; padding: 1rem;
  max-width: 60rem; }
h1 { font-size: 1.5rem; margin: .2rem 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.hops { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; }
.hop { border: 1px solid var(--line); border-top: 4px solid; border-radius: .5rem; padding: .75rem; }
.hop b { display: block; font-size: 1.6rem; line-height: 1.2; } .hop small { display: block; opacity: .8; }
.good::before { content: "✓ "; color: #2b8a3e; } .bad::before { content: "✗ "; color: #c92a2a; }
.verdict { border: 2px solid #2b8a3e; border-radius: .5rem; padding: .75rem; font-size: 1.2rem; }
.verdict.bad { border-color: #c92a2a; } .verdict small { display: block; font-size: .9rem; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: .2rem .6rem; }
.bars span:nth-child(3n) { text-align: right; font-variant-numeric: tabular-nums; }
.bars i { display: block; height: 1em; margin-top: .3em; background: #2b8a3e; }
svg { width: 100%; height: auto; } svg text { fill: currentColor; font-size: 12px; }
ol, ul { padding-left: 1.2rem; } li { overflow-wrap: anywhere; } .wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .5rem;
  border-bottom: 1px solid var(--line); } td.n { text-align: right; font-variant-numeric: tabular-nums; }
.sms { border-radius: 1rem; background: var(--soft); padding: .8rem 1rem; max-width: 26rem; }
@media (max-width: 30rem) { .bars { font-size: .85rem; } }
"""


def write(done: Done, path: Path) -> None:
    """Write the page."""
    path.write_text(page(done), encoding="utf-8")


def page(done: Done) -> str:
    """The whole page as text."""
    plan = done.plan
    title = f"Tonle: {plan.households:,} households registered, scored, paid and told"
    speed = plan.households / done.seconds if done.seconds else 0
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p>{done.seconds:.1f} s from the file to the last SMS, {speed:,.0f} households per second, on a real Kafka
and a real PostgreSQL on one machine. Seed {plan.seed}; every person here is made up.</p>
{_verdict(done)}
<h2>The four hops</h2><div class="hops">{"".join(map(_hop, done.looks[-1].hops, COLOURS))}</div>
<h2>Households over time</h2>{chart(done.looks)}
<h2>Sums that close, in households</h2>
<ul>{"".join(_sum(str(each), each.closes) for each in done.sums)}</ul>
<h2>Riel by province</h2>{_bars(done.provinces)}
<h2>One household's story</h2>{_story(done)}
<h2>Rows that were not registered, some of them</h2>{_quarantined(done.quarantined)}
<h2>What was compared</h2>{_comparisons(done)}
</body></html>
"""


def chart(looks: Sequence[Look]) -> str:
    """Households through each hop over time, as an inline SVG."""
    longest = max(looks[-1].seconds, 0.1)
    most = max(1, *(hop.households for look in looks for hop in look.hops))

    def point(seconds: float, households: int) -> str:
        x = MARGIN + (CHART_WIDTH - 2 * MARGIN) * seconds / longest
        y = CHART_HEIGHT - MARGIN - (CHART_HEIGHT - 2 * MARGIN) * households / most
        return f"{x:.1f},{y:.1f}"

    lines, names = [], []
    for number, colour in enumerate(COLOURS):
        points = " ".join(
            [point(0, 0), *(point(each.seconds, each.hops[number].households) for each in looks)]
        )
        lines.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2.5" points="{points}"/>')
        x = MARGIN + 120 * number
        names.append(
            f'<rect x="{x}" y="4" width="12" height="12" fill="{colour}"/>'
            f'<text x="{x + 18}" y="15">{escape(looks[-1].hops[number].name)}</text>'
        )
    left, right, floor = MARGIN, CHART_WIDTH - MARGIN, CHART_HEIGHT - MARGIN
    return (
        f'<svg viewBox="0 0 {CHART_WIDTH} {CHART_HEIGHT}" role="img" aria-label="Households over time">'
        f'<path d="M{left} {MARGIN}V{floor}H{right}" fill="none" stroke="currentColor" stroke-opacity=".4"/>'
        f"{''.join(lines)}{''.join(names)}"
        f'<text x="{left}" y="{floor + 18}">0 s</text>'
        f'<text x="{right}" y="{floor + 18}" text-anchor="end">{longest:.1f} s</text>'
        f'<text x="{left + 4}" y="{MARGIN + 4}">{most:,}</text></svg>'
    )


def _verdict(done: Done) -> str:
    first, *rest = map(escape, done.verdict())
    mark = "good" if done.passed else "bad"
    small = "".join(f"<small>{line}</small>" for line in rest)
    return f'<p class="verdict {mark}">{first}{small}</p>'


def _hop(hop: Hop, colour: str) -> str:
    riel = f"<small>{hop.riel:,} riel</small>" if hop.riel is not None else ""
    said = f"<small>{escape(parts(hop))}</small><small>waiting {hop.waiting:,}</small>"
    return (
        f'<div class="hop" style="border-top-color:{colour}">'
        f"{escape(hop.name)}<b>{hop.households:,}</b>{riel}{said}</div>"
    )


def _sum(text: str, closes: bool) -> str:
    return f'<li class="{"good" if closes else "bad"}">{escape(text)}</li>'


def _bars(provinces: dict[str, int]) -> str:
    most = max(provinces.values(), default=1)
    rows = (
        f'<span>{escape(name)}</span><span><i style="width:{100 * riel / most:.1f}%"></i></span>'
        f"<span>{riel:,}</span>"
        for name, riel in sorted(provinces.items(), key=lambda each: -each[1])
    )
    return f'<div class="bars">{"".join(rows)}</div>'


def _story(done: Done) -> str:
    told = [line for line in done.shown.lines() if not line.startswith("SMS")]
    sms = f'<p class="sms" lang="km">{escape(done.shown.sms)}</p>' if done.shown.sms else ""
    return f"<ol>{''.join(f'<li>{escape(line)}</li>' for line in told)}</ol>{sms}"


def _quarantined(rows: Sequence[dict[str, object]]) -> str:
    """Row, field and what to do; never the value, which may be a person's."""
    items = []
    for row in rows:
        flaws = row["flaws"] if isinstance(row["flaws"], list) else []
        said = "; ".join(f"{each['field']}: {each['reason']}. {each['remedy']}" for each in flaws)
        items.append(f"<li>row {row['row_number']}: {escape(said)}</li>")
    return f"<ul>{''.join(items) or '<li>none</li>'}</ul>"


def _comparisons(done: Done) -> str:
    rows = "".join(
        f'<tr><td class="{"bad" if each.differences else "good"}">{escape(each.comparison.name)}</td>'
        f'<td>{escape(each.comparison.left)}</td><td class="n">{each.left:,}</td>'
        f'<td>{escape(each.comparison.right)}</td><td class="n">{each.right:,}</td></tr>'
        for each in done.audit.findings
    )
    return f'<div class="wide"><table>{rows}</table></div>'
