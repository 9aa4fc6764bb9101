"""Charts as inline SVG: bars and lines with axes, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from kbert.report.page import Html, element, join

_WIDTH, _HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 10, 34
_ROW, _SWATCH, _CHARACTER = 16, 20, 6.2
"""The height of a row of the legend, the width of a swatch, and about that of a character."""
_SMOOTHED_POINTS = 40
"""The number of points from which on a line is smoothed."""
_SMOOTHED_PARTS = 15
"""A point of a smoothed line is the mean of about this part of the points."""
_COLOURS = (
    *("var(--accent)", "var(--accent-2)", "var(--accent-3)", "var(--accent-4)"),
    *("#8a63d2", "#1f9aa8", "#a0703c", "#808694"),
)


def bar_chart(labels: Sequence[str], values: Sequence[float], *, title: str, x_label: str = "") -> Html:
    """Draws upright bars from 0, one for each label; only as many labels are shown as there is room for.

    Args:
        labels: The texts below the bars.
        values: The heights of the bars, at least 0; as many as labels.
        title: A description of the chart, for screen readers.
        x_label: The name of the horizontal axis.
    """
    if len(labels) != len(values):
        raise ValueError(f"expected as many labels as values. Received: {len(labels)} and {len(values)}")
    axis = _Axis(0.0, max([*values, 0.0]) or 1.0)
    parts = [axis.draw()]
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(values))
    every = max(1, math.ceil(max([len(label) for label in labels], default=1) * 7 / step))
    for index, (label, value) in enumerate(zip(labels, values, strict=True)):
        x, y = _LEFT + index * step, axis.place(value)
        bar = element("title", f"{label}: {value:,.6g}")
        parts.append(
            element(
                "rect",
                bar,
                x=_number(x + step * 0.05),
                y=_number(y),
                width=_number(step * 0.9),
                height=_number(_HEIGHT - _BOTTOM - y),
                fill=_COLOURS[0],
            )
        )
        if index % every == 0:
            parts.append(_text(label, x + step / 2, _HEIGHT - _BOTTOM + 14))
    return _chart(parts, title, x_label)


def line_chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str,
    x_label: str = "",
    smooth: bool = False,
) -> Html:
    """Draws lines over a common axis; points that are not finite leave a gap.

    The names of the lines stand above the chart, so that they hide no line.

    Args:
        series: The lines as {name: (x values, y values)}.
        title: A description of the chart, for screen readers.
        x_label: The name of the horizontal axis.
        smooth: Whether lines of many points are smoothed; the points themselves are then a pale line behind it.
    """
    xs = [x for values, _ in series.values() for x in values if math.isfinite(x)]
    ys = [y for _, values in series.values() for y in values if math.isfinite(y)]
    legend, top = _legend(list(series))
    across = _Axis(min(xs, default=0.0), max(xs, default=1.0))
    axis = _Axis(min(ys, default=0.0), max(ys, default=1.0), top)
    parts = [legend, axis.draw()]
    for tick in across.ticks():
        parts.append(_text(f"{tick:,.6g}", across.place_across(tick), _HEIGHT - _BOTTOM + 14))
    for index, (values, heights) in enumerate(series.values()):
        colour = _COLOURS[index % len(_COLOURS)]
        for run in _runs(values, heights):
            places = [(across.place_across(x), axis.place(y)) for x, y in run]
            if len(run) == 1:
                parts.append(element("circle", cx=_number(places[0][0]), cy=_number(places[0][1]), r=2, fill=colour))
            if smooth and len(run) >= _SMOOTHED_POINTS:
                parts.append(_line(places, stroke=colour, stroke_width="1", opacity="0.35"))
                means = smoothed([y for _, y in run])
                places = [(x, axis.place(mean)) for (x, _), mean in zip(places, means, strict=True)]
            parts.append(_line(places, stroke=colour, stroke_width="1.5"))
    return _chart(parts, title, x_label)


def smoothed(values: Sequence[float]) -> list[float]:
    """Returns means of neighbouring values, which do not lag behind them; near the ends there are fewer neighbours.

    Example:
        >>> smoothed([1.0, 2.0, 3.0]) == [1.0, 2.0, 3.0]
        True
    """
    reach = round(len(values) / _SMOOTHED_PARTS / 2)
    means = []
    for index in range(len(values)):
        near = min(reach, index, len(values) - 1 - index)
        means.append(sum(values[index - near : index + near + 1]) / (2 * near + 1))
    return means


def _legend(names: Sequence[str]) -> tuple[Html, int]:
    """Returns the names of lines in rows, each in its colour, and where the chart begins below them."""
    parts, x, row = [], float(_LEFT), 0
    named = [(index, name) for index, name in enumerate(names) if name]
    for index, name in named:
        width = _SWATCH + _CHARACTER * len(name)
        if x > _LEFT and x + width > _WIDTH - _RIGHT:
            x, row = float(_LEFT), row + 1
        y, colour = _TOP + 4 + _ROW * row, _COLOURS[index % len(_COLOURS)]
        parts.append(element("rect", x=_number(x), y=y - 6, width=12, height=4, fill=colour))
        parts.append(element("text", name, x=_number(x + 16), y=y, style=f"fill:{colour}"))
        x += width + 12
    return join(parts), _TOP + (_ROW * (row + 1) if named else 0)


def _line(places: Sequence[tuple[float, float]], **attributes: str) -> Html:
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in places)
    return element("polyline", points=points, fill="none", **attributes)


class _Axis:
    """A range of values and their places in the chart, which begins `top` below the upper edge."""

    def __init__(self, low: float, high: float, top: int = _TOP) -> None:
        self.low = low
        self.high = high if high > low else low + (abs(low) or 1.0)
        self.top = top

    def place(self, value: float) -> float:
        """Returns the distance of a value from the top of the chart."""
        return self.top + (self.high - value) / (self.high - self.low) * (_HEIGHT - self.top - _BOTTOM)

    def place_across(self, value: float) -> float:
        """Returns the distance of a value from the left of the chart."""
        return _LEFT + (value - self.low) / (self.high - self.low) * (_WIDTH - _LEFT - _RIGHT)

    def ticks(self) -> list[float]:
        """Returns about four round numbers in the range."""
        rough = (self.high - self.low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step)
        return [index * step for index in range(first, math.floor(self.high / step) + 1)]

    def draw(self) -> Html:
        """Draws lines across the chart at the ticks, with their values."""
        parts = []
        for tick in self.ticks():
            y = _number(self.place(tick))
            parts.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="axis"))
            parts.append(
                element("text", f"{tick:,.6g}", x=_LEFT - 6, y=_number(self.place(tick) + 4), text_anchor="end")
            )
        return join(parts)


def _runs(xs: Sequence[float], ys: Sequence[float]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _text(content: str, x: float, y: float) -> Html:
    return element("text", content, x=_number(x), y=_number(y), text_anchor="middle")


def _chart(parts: list[Html], title: str, x_label: str) -> Html:
    if x_label:
        parts.append(element("text", x_label, x=_WIDTH - _RIGHT, y=_HEIGHT - 4, text_anchor="end", class_="faint"))
    return element(
        "svg",
        join(parts),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        aria_label=title,
    )
