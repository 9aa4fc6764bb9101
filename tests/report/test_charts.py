import math
import xml.etree.ElementTree as ElementTree

import pytest

from kbert.report.charts import bar_chart, line_chart, smoothed


def parse(chart):
    return ElementTree.fromstring(chart)


def test_bars_stand_on_the_axis_in_proportion():
    svg = parse(bar_chart(["a", "<b>", "c"], [0, 5, 10], title="A & B", x_label="things"))
    assert svg.get("aria-label") == "A & B"
    bars = svg.findall("rect")
    heights = [float(bar.get("height")) for bar in bars]
    assert heights[0] == 0
    assert heights[1] == pytest.approx(heights[2] / 2)
    assert {float(bar.get("y")) + height for bar, height in zip(bars, heights, strict=True)} == {186}
    assert [bar.find("title").text for bar in bars] == ["a: 0", "<b>: 5", "c: 10"]
    texts = [text.text for text in svg.findall("text")]
    assert texts == ["0", "5", "10", "a", "<b>", "c", "things"]


def test_labels_are_thinned_out():
    svg = parse(bar_chart([f"{i:06}" for i in range(300)], [1.0] * 300, title="many"))
    assert len(svg.findall("rect")) == 300
    assert len(svg.findall("text")) < 30


@pytest.mark.parametrize("values", [[], [0.0]])
def test_empty_bars(values):
    parse(bar_chart(["x"] * len(values), values, title="none"))


def test_bars_need_as_many_labels():
    with pytest.raises(ValueError, match="Received: 1 and 2"):
        bar_chart(["a"], [1, 2], title="t")


def test_lines_have_a_common_axis():
    svg = parse(line_chart({"loss": ([0, 10, 20], [4.0, 2.0, 0.0]), "other": ([0, 20], [0.0, 4.0])}, title="t"))
    first, second = svg.findall("polyline")
    assert first.get("points") == "64,26 386,106 708,186"  # below a row of names
    assert second.get("points") == "64,186 708,26"
    assert first.get("stroke") != second.get("stroke")


def test_a_gap_where_a_value_is_no_number():
    svg = parse(line_chart({"loss": ([0, 1, 2, 3], [1.0, math.nan, 2.0, math.inf])}, title="t"))
    assert [line.get("points") for line in svg.findall("polyline")] == ["64,186", "493.33,26"]


@pytest.mark.parametrize("series", [{}, {"a": ([], [])}, {"a": ([1], [5.0])}, {"a": ([1, 2], [-0.001, -0.001])}])
def test_lines_of_little(series):
    parse(line_chart(series, title="t"))


def test_names_stand_in_rows_above_the_chart():
    names = ["a name of thirty characters, 1", "a name of thirty characters, 2", "a name of thirty characters, 3"]
    svg = parse(
        line_chart({name: ([0, 1], [0.0, 1.0]) for name in [*names, "the last name of the chart, 4"]}, title="t")
    )
    places = {text.text: (float(text.get("x")), float(text.get("y"))) for text in svg.findall("text")}
    first, second = (places[name] for name in names[:2])
    assert first[1] == second[1] == 14
    assert second[0] >= first[0] + 180
    assert places["the last name of the chart, 4"] == (80, 30)
    assert svg.find("polyline").get("points").endswith("708,42")


def test_lines_of_many_points_are_smoothed():
    ys = [float(index % 2) for index in range(100)]
    raw, line = parse(line_chart({"": (range(100), ys)}, title="t", smooth=True)).findall("polyline")
    assert raw.get("opacity") == "0.35"
    heights = [float(point.split(",")[1]) for point in line.get("points").split()]
    assert all(80 < height < 116 for height in heights[5:95])  # 98 is the middle
    (few,) = parse(line_chart({"": (range(30), ys[:30])}, title="t", smooth=True)).findall("polyline")
    assert few.get("opacity") is None


def test_smoothed_values_do_not_lag():
    assert smoothed([]) == []
    line = [float(value) for value in range(90)]
    assert smoothed(line) == pytest.approx(line)
    assert smoothed([0.0] * 45 + [1.0] * 45)[42:48] == pytest.approx([1 / 7, 2 / 7, 3 / 7, 4 / 7, 5 / 7, 6 / 7])
