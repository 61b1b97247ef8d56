"""Who is reached, as a file and as a page."""

from html.parser import HTMLParser

from tonle import coverage_page
from tonle.coverage_page import GROUPS, Cell, Coverage, Measure, Table, Words

EVERYONE = {"registered": 40_000, "floor": 30_000, "covid": 20_000, "hiv": None}
FEMALE = {"registered": 20_000, "floor": None, "covid": 15_000}
TOLD = Coverage(
    as_of="2026-11-22",
    threshold=10,
    rounded_to=20,
    measures=[
        Measure("registered", coverage_page.REGISTERED),
        Measure("floor", coverage_page.FLOOR),
        Measure("covid", Words("Cash <& more>", "សាច់ប្រាក់")),
        Measure("hiv", Words("hiv", "hiv")),
    ],
    tables=[
        Table(name, coverage_page.DIMENSIONS[name], [Cell(group, GROUPS[name][group], people)])
        for name, group, people in (("everyone", "everyone", EVERYONE), ("sex", "female", FEMALE))
    ],
)


class Outline(HTMLParser):
    """The tags of a page, its text by language, and whether every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_file_has_one_row_a_figure_and_says_which_are_suppressed() -> None:
    header, *rows = coverage_page.rows(TOLD)
    assert header[-3:] == ("measure", "people", "suppressed")
    assert [row[-3:] for row in rows] == [
        ("registered", 40_000, "no"),
        ("floor", 30_000, "no"),
        ("covid", 20_000, "no"),
        ("hiv", "", "yes"),
        ("registered", 20_000, "no"),
        ("floor", "", "yes"),
        ("covid", 15_000, "no"),
    ]
    assert rows[4][:5] == ("2026-11-22", "sex", "female", "Female", "ស្រី")


def test_a_page_shows_shares_of_those_registered_and_hides_what_is_small() -> None:
    page = coverage_page.page(TOLD)
    assert "<td>30,000 <small>75%</small>" in page
    assert "<td>&lt; 10</td>" in page
    assert "<td>15,000 <small>75%</small>" in page
    assert page.count(">hiv</th>") == 1  # not in the table by sex, which does not tell it


def test_a_page_can_be_read_aloud_and_printed_without_anything_else() -> None:
    outline = Outline(coverage_page.page(TOLD))
    assert outline.open == []
    assert outline.having("html") == [{"lang": "en"}]
    assert {each["scope"] for each in outline.having("th")} == {"col", "row"}
    named = {each["id"] for each in outline.having("h2")}
    assert {each["aria-labelledby"] for each in outline.having("table")} == named
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in outline.tags}
    assert len([each for each in outline.having("span") if each.get("lang") == "km"]) >= 10
    assert "@media print" in coverage_page.page(TOLD)


def test_names_are_escaped() -> None:
    assert "Cash &lt;&amp; more&gt;" in coverage_page.page(TOLD)
