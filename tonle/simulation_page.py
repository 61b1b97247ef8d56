"""A simulation as tables, as rows of a file, and as a page with charts in English and Khmer. Pure."""

from collections.abc import Iterator, Sequence
from html import escape

from tonle.coverage_page import STYLE, Words, both
from tonle.simulation import (
    DIMENSIONS,
    SIDES,
    Count,
    Day,
    Errors,
    Group,
    Simulation,
    Table,
    group_words,
    ordered,
)

TITLE = Words("What the proposal would change", "តើសំណើនេះនឹងផ្លាស់ប្តូរអ្វីខ្លះ")
_GAINING, _LOSING = Words("gain", "ទទួលបានច្រើនជាងមុន"), Words("lose", "ទទួលបានតិចជាងមុន")
_HOUSEHOLDS, _PEOPLE = Words("households", "គ្រួសារ"), Words("people", "នាក់")
_RIEL = Words("riel a month", "រៀលក្នុងមួយខែ")
_UNREAD = {
    "forgotten": Words("forgotten", "ត្រូវបានបំភ្លេច"),
    "key_missing": Words("counted as forgotten: their key is missing", "រាប់ថាត្រូវបានបំភ្លេច៖ បាត់សោ"),
    "broken": Words("that can't be read", "មិនអាចអានបាន"),
}
_MORE_STYLE = """
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; }
.card { border: 1px solid #bbb; border-radius: .4rem; padding: .75rem 1rem; }
.card b { display: block; font-size: 1.4rem; line-height: 1.3; } .card small { color: #444; display: block; }
.gain { background: #1d6b3a; } .lose { background: #a3341f; }
.now { background: #6b7280; } .then { background: #1f5f8b; }
.key i, td i { display: inline-block; height: .7rem; print-color-adjust: exact; } .key i { width: 1.2rem; }
td.chart { min-width: 12rem; text-align: left; }
td.chart div { display: flex; align-items: center; gap: .3rem; }
td.chart div span { font-size: .8rem; white-space: nowrap; }
svg { width: 100%; max-width: 60rem; height: auto; } svg text { font-size: 12px; fill: #1a1a1a; }
.note { border-left: 4px solid #b45309; padding-left: .75rem; }
"""


def tables(found: Simulation) -> Iterator[list[dict[str, object]]]:
    """Every table as rows for a terminal: days, programmes, groups, and errors of targeting."""
    yield [{"on": each.on, **_figures(each, found)} for each in found.days]
    yield [
        {
            "programme": each.id,
            **{
                f"{side}_{name}": _told(value, found)
                for side, name, value in _sides(each.current, each.proposed)
            },
        }
        for each in found.programmes
    ]
    yield [
        {
            "by": table.dimension,
            "group": group_words(table.dimension, each.group or "").en,
            **_figures(each, found),
        }
        for table in found.tables
        if table.dimension != "everyone"
        for each in ordered(table)
    ] or [{"groups": "not told: the proposal is about a sensitive programme"}]
    yield [
        {
            "against": f"{found.targeting.scorecard}, {found.targeting.line}",
            "side": SIDES[side].en,
            "poor_reached": _between(errors.poor_reached),
            "exclusion_percent": _between(errors.exclusion_percent),
            "inclusion_percent": _between(errors.inclusion_percent),
        }
        for side, errors in _errors(found)
    ]


def rows(found: Simulation) -> Iterator[tuple[object, ...]]:
    """One row a figure under a header; too few to tell leave the cell empty and `suppressed` yes."""
    yield ("on", "dimension", "group", "group_en", "group_km", "measure", "value", "suppressed")
    last = found.days[-1].on
    for each in found.days:
        yield from _rows((each.on, "day", "everyone", "Everyone", DIMENSIONS["everyone"].km), each)
    for table in found.tables:
        for group in ordered(table):
            name = group.group or ""
            words = group_words(table.dimension, name)
            yield from _rows((last, table.dimension, name, words.en, words.km), group)
    for programme in found.programmes:
        about = (last, "programme", programme.id, programme.name["en"], programme.name["km"])
        for side, name, value in _sides(programme.current, programme.proposed):
            yield (*about, f"{side}_{name}", *_cell(value))
    for side, errors in _errors(found):
        for name, ends in errors:
            for end, value in zip(("least", "most"), ends, strict=True):
                yield (
                    last,
                    "targeting",
                    found.targeting.scorecard,
                    "",
                    "",
                    f"{side}_{name}_{end}",
                    *_cell(value),
                )


def page(found: Simulation) -> str:
    """One HTML file that needs no other."""
    last = found.days[-1]
    parts = (
        f"<p>{both(_judged(found))}</p>\n",
        _notes(found),
        _cards(last, found),
        _months(found.days),
        _programmes(found),
        *(_table(each, found) for each in found.tables if each.dimension != "everyone"),
        _targeting(found),
        f"<p>{both(_rounded(found))}</p>\n",
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE.en} · {last.on}</title>\n<style>{STYLE}{_MORE_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{both(TITLE)}</h1>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def _judged(found: Simulation) -> Words:
    first, last = found.days[0].on, found.days[-1].on
    days = f"{first} – {last}" if first != last else last
    return Words(
        f"Every registered household, judged on {days} by the programmes in force on that day, and by the "
        "same with the proposal in place. Groups are those of the last day.",
        f"គ្រួសារដែលបានចុះឈ្មោះទាំងអស់ ត្រូវបានវាយតម្លៃនៅថ្ងៃ {days} តាមកម្មវិធីជាធរមាននៅថ្ងៃនោះ និងតាមកម្មវិធីដដែល"
        "រួមជាមួយសំណើ។ ក្រុមនានាគឺនៅថ្ងៃចុងក្រោយ។",
    )


def _rounded(found: Simulation) -> Words:
    return Words(
        f"Fewer than {found.threshold} households are not shown, and other counts are rounded to the nearest "
        f"{found.rounded_to}, so that nobody can be recognised. Riel are the mean of as many households.",
        f"ចំនួនតិចជាង {found.threshold} មិនត្រូវបានបង្ហាញទេ ហើយចំនួនផ្សេងទៀតត្រូវបានបង្គត់ទៅជិតបំផុតនៃ "
        f"{found.rounded_to} ដើម្បីកុំឱ្យគេស្គាល់នរណាម្នាក់។",
    )


def _notes(found: Simulation) -> str:
    notes = [f'<p class="note">{escape(each)}</p>\n' for each in found.notes]
    for why, households in found.days[-1].unread.items():
        words = _UNREAD[why]
        told = Words(f"{households:,} households {words.en}", f"{households:,} គ្រួសារ {words.km}")
        notes.append(f'<p class="note">{both(told)}</p>\n')
    return "".join(notes)


def _cards(day: Day, found: Simulation) -> str:
    cards = [
        (words, f"{_told(now, found)} → {_told(then, found)}", "")
        for words, now, then in (
            (Words("Households covered", "គ្រួសារទទួលបាន"), day.current.households, day.proposed.households),
            (Words("People covered", "មនុស្សទទួលបាន"), day.current.people, day.proposed.people),
            (Words("Riel a month", "រៀលក្នុងមួយខែ"), day.current.riel, day.proposed.riel),
        )
    ]
    for words, count in (
        (Words("Households that gain", "គ្រួសារទទួលបានច្រើនជាងមុន"), day.gaining),
        (Words("Households that lose", "គ្រួសារទទួលបានតិចជាងមុន"), day.losing),
    ):
        cards.append((words, _told(count.households, found), f"{_told(count.riel, found)} {_RIEL.en}"))
    told = "".join(
        f'<div class="card"><small>{both(words)}</small><b>{escape(figure)}</b>'
        f"<small>{escape(more)}</small></div>"
        for words, figure, more in cards
    )
    return f'<div class="cards">{told}</div>\n'


def _months(days: Sequence[Day]) -> str:
    """Riel by day judged, now and proposed, as bars side by side; nothing for a single day."""
    if len(days) < 2:
        return ""
    most = max(1, *(count.riel or 0 for day in days for count in (day.current, day.proposed)))
    step = 900 / len(days)
    bars = []
    for at, day in enumerate(days):
        for number, (count, colour) in enumerate(((day.current, "#6b7280"), (day.proposed, "#1f5f8b"))):
            height = 180 * (count.riel or 0) / most
            x = at * step + number * step * 0.4
            bars.append(
                f'<rect x="{x:.1f}" y="{200 - height:.1f}" width="{step * 0.38:.1f}" height="{height:.1f}" '
                f'fill="{colour}"><title>{day.on}: {count.riel or 0:,}</title></rect>'
            )
        if at % max(1, len(days) // 12) == 0:
            bars.append(f'<text x="{at * step:.1f}" y="218">{day.on[:7]}</text>')
    title = Words("Riel by month", "រៀលតាមខែ")
    return (
        f"<h2>{both(title)}</h2>\n{_key(*SIDES.values())}"
        f'<svg viewBox="0 0 900 225" role="img" aria-label="{title.en}"><text x="0" y="12">{most:,}</text>'
        f"{''.join(bars)}</svg>\n"
    )


def _programmes(found: Simulation) -> str:
    head = _head(
        *(
            Words(f"{words.en}: {unit.en}", f"{words.km}៖ {unit.km}")
            for words in SIDES.values()
            for unit in (_HOUSEHOLDS, _PEOPLE, _RIEL)
        )
    )
    body = "".join(
        f'<tr><th scope="row">{both(Words(each.name["en"], each.name["km"]))}'
        f"{f'<small><code>{each.hash[:12]}</code></small>' if each.changed else ''}</th>"
        + "".join(f"<td>{_told(value, found)}</td>" for _, _, value in _sides(each.current, each.proposed))
        + "</tr>\n"
        for each in found.programmes
    )
    return _framed("programmes", Words("By programme", "តាមកម្មវិធី"), head, body)


def _table(table: Table, found: Simulation) -> str:
    groups = ordered(table)
    most = max(1, *(count.households or 0 for each in groups for count in (each.gaining, each.losing)), 0)
    head = _head(
        _HOUSEHOLDS,
        *(Words(f"{words.en}: covered", f"{words.km}៖ ទទួលបាន") for words in SIDES.values()),
        *(Words(f"{words.en}: {_RIEL.en}", f"{words.km}៖ {_RIEL.km}") for words in SIDES.values()),
        Words("who gains, who loses", "អ្នកណាទទួលបានច្រើន អ្នកណាទទួលបានតិច"),
    )
    body = "".join(
        f'<tr><th scope="row">{both(group_words(table.dimension, each.group or ""))}</th>'
        + "".join(
            f"<td>{_told(value, found)}</td>"
            for value in (
                each.households,
                each.current.households,
                each.proposed.households,
                each.current.riel,
                each.proposed.riel,
            )
        )
        + f'<td class="chart">{_bar("gain", each.gaining, most, found)}'
        + f"{_bar('lose', each.losing, most, found)}</td></tr>\n"
        for each in groups
    )
    return _framed(table.dimension, DIMENSIONS[table.dimension], head, body)


def _bar(kind: str, count: Count, most: int, found: Simulation) -> str:
    width = 8 * (count.households or 0) / most
    told = f"{_told(count.households, found)}"
    more = f" · {_told(count.riel, found)}" if count.riel else ""
    sign = "+" if kind == "gain" else "−"
    return f'<div><i class="{kind}" style="width: {width:.2f}rem"></i><span>{sign} {told}{more}</span></div>'


def _targeting(found: Simulation) -> str:
    words = Words("Against the scorecard PPI 2020", "ធៀបនឹងតារាងពិន្ទុ PPI ២០២០")
    told = Words(
        f"Of all households, {_between(found.targeting.poor_households)} live below the national poverty "
        "line by the scorecard. Where answers are missing, a figure lies somewhere between two others.",
        f"តាមតារាងពិន្ទុ មានគ្រួសារ {_between(found.targeting.poor_households)} រស់នៅក្រោមបន្ទាត់ភាពក្រីក្រជាតិ។ "
        "នៅពេលខ្វះចម្លើយ តួលេខមួយអាចនិយាយបានត្រឹមថាស្ថិតនៅចន្លោះតួលេខពីរ។",
    )
    head = _head(
        Words("poor households reached", "គ្រួសារក្រដែលទទួលបាន"),
        Words("poor who get nothing (exclusion)", "អ្នកក្រដែលមិនទទួលបានអ្វី"),
        Words("not poor among those who get something (inclusion)", "អ្នកមិនក្រក្នុងចំណោមអ្នកទទួលបាន"),
    )
    body = "".join(
        f'<tr><th scope="row">{both(SIDES[side])}</th><td>{_between(each.poor_reached)}</td>'
        f"<td>{_between(each.exclusion_percent)}%</td><td>{_between(each.inclusion_percent)}%</td></tr>\n"
        for side, each in _errors(found)
    )
    return _framed("targeting", words, head, body).replace("</h2>", f"</h2>\n<p>{both(told)}</p>", 1)


def _framed(name: str, words: Words, head: str, body: str) -> str:
    return (
        f'<h2 id="table-{name}">{both(words)}</h2>\n'
        f'<div class="wide" role="region" tabindex="0" aria-labelledby="table-{name}">\n'
        f'<table aria-labelledby="table-{name}">\n<thead><tr><td></td>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table>\n</div>\n"
    )


def _head(*columns: Words) -> str:
    return "".join(f'<th scope="col">{both(each)}</th>' for each in columns)


def _key(now: Words, then: Words) -> str:
    return (
        f'<p class="key"><i class="now"></i> {escape(now.en)} · {escape(now.km)} '
        f'<i class="then"></i> {escape(then.en)} · {escape(then.km)}</p>\n'
    )


def _figures(each: Group, found: Simulation) -> dict[str, object]:
    return {name: _told(value, found) for name, value in _measures(each)}


def _measures(each: Group) -> Iterator[tuple[str, int | None]]:
    yield "households", each.households
    yield "people", each.people
    yield from ((f"{side}_{name}", value) for side, name, value in _sides(each.current, each.proposed))
    for what, count in (("gaining", each.gaining), ("losing", each.losing)):
        yield f"{what}_households", count.households
        yield f"{what}_riel", count.riel


def _sides(current: Count, proposed: Count) -> Iterator[tuple[str, str, int | None]]:
    for side, count in (("current", current), ("proposed", proposed)):
        yield side, "households", count.households
        yield side, "people", count.people
        yield side, "riel", count.riel


def _errors(found: Simulation) -> tuple[tuple[str, Errors], ...]:
    return ("current", found.targeting.current), ("proposed", found.targeting.proposed)


def _rows(about: tuple[str, ...], each: Group) -> Iterator[tuple[object, ...]]:
    for name, value in _measures(each):
        yield (*about, name, *_cell(value))


def _cell(value: int | None) -> tuple[object, str]:
    return ("", "yes") if value is None else (value, "no")


def _told(value: int | None, found: Simulation) -> str:
    return f"< {found.threshold}" if value is None else f"{value:,}"


def _between(ends: tuple[int | None, int | None]) -> str:
    lowest, highest = (("few" if each is None else f"{each:,}") for each in ends)
    return lowest if lowest == highest else f"{lowest}–{highest}"
