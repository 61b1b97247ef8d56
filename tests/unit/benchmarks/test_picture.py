"""The picture of what was measured."""

from xml.etree import ElementTree as ET

from benchmarks.picture import draw

FIGURES = {
    "households": 1000,
    "households_per_second": 2600.4,
    "floor_households_per_second": 4400,
    "cpu_s_by_process_payments": 0.25,
    "cpu_s_by_process_kafka": 0.1,
    "cores": 2,
    "pipeline_commit": "abc1234",
    "pipeline_date": "2023-06-01T10:00:00+00:00",
}


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_each_speed_and_each_process_has_its_bar_and_figure() -> None:
    said = texts(draw(FIGURES))
    assert {"Tonle", "2,600", "floor", "4,400", "payments", "250", "Kafka", "100"} <= set(said)
    assert "CPU per household, µs (all: 350)" in said


def test_the_curve_of_scoring_has_a_bar_for_each_number_of_programmes() -> None:
    curve = {f"scoring_per_second_core_of_{number}": 90_000 / number for number in range(1, 11)}
    said = texts(draw({**FIGURES, **curve, "eligibility_commit": "def5678"}))
    assert {*map(str, range(1, 11)), "90,000", "9,000", "target 20,000"} <= set(said)
    assert "commit def5678" in said[-1]


def test_what_was_not_measured_is_left_out() -> None:
    assert "baseline" not in texts(draw(FIGURES))
    assert texts(draw({}))


def test_nothing_is_drawn_outside() -> None:
    svg = ET.fromstring(draw(FIGURES))
    width = float(svg.attrib["viewBox"].split()[2])
    bars = [each for each in svg if each.tag.endswith("rect")]
    assert all(float(bar.attrib.get("x", 0)) + float(bar.attrib["width"]) <= width for bar in bars)
