"""Lines over rows, as the numbers that a drawing needs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

WIDTH, HEIGHT = 640, 150  # of the drawing, with room for numbers on the left and below
LEFT, BOTTOM, TOP, RIGHT = 60, 22, 8, 12
TICKS = 4  # on either axis, at most one more


class Point(NamedTuple):
    """One value, of what ended with `row`, and the interval that it lies in where one is known."""

    row: float
    value: float
    low: float | None = None
    high: float | None = None


class Tick(NamedTuple):
    """A number beside an axis, and how far along it that is."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of WIDTH x HEIGHT; `y` grows downwards."""

    title: str
    said: str  # the chart in words
    line: str  # points, as SVG writes them
    band: str  # the outline of the intervals; empty where none is known
    dots: list[tuple[float, float]]
    across: list[Tick]
    up: list[Tick]
    marks: list[float]  # where something was detected


def chart(title: str, points: Sequence[Point], rows: int, detected: Iterable[int] = ()) -> Chart:
    """Return the drawing of at least one point.

    Args:
        title: what is drawn.
        points: by row.
        rows: how many there are; the axis has room for all of them, so that drawings lie above one another.
        detected: rows at which something was.
    """
    ends = [end for point in points for end in point[1:] if end is not None]
    up = _ticks(min(ends), max(ends))
    across = _ticks(0.0, float(rows))
    x = _Axis(0.0, max(float(rows), 1.0), LEFT, WIDTH - RIGHT)
    y = _Axis(min(up[0], *ends), max(up[-1], *ends), HEIGHT - BOTTOM, TOP)
    dots = [(x.at(point.row), y.at(point.value)) for point in points]
    ranged = [point for point in points if point.low is not None and point.high is not None]
    outline = [(x.at(p.row), y.at(p.high or 0.0)) for p in ranged] + [
        (x.at(p.row), y.at(p.low or 0.0)) for p in reversed(ranged)
    ]
    values = [point.value for point in points]
    between = f"between {min(values):.4g} and {max(values):.4g}"
    return Chart(
        title=title,
        said=f"{title}: {values[0]:.4g} at first, {values[-1]:.4g} at last, {between}",
        line=_written(dots),
        band=_written(outline),
        dots=dots,
        across=[Tick(x.at(tick), f"{tick:,.0f}") for tick in across if tick <= rows],
        up=[Tick(y.at(tick), f"{tick:.6g}") for tick in up],
        marks=[x.at(row) for row in sorted(set(detected))],
    )


class _Axis(NamedTuple):
    least: float
    most: float
    begin: float  # where the least is drawn
    end: float

    def at(self, value: float) -> float:
        share = (value - self.least) / (self.most - self.least)
        return round(self.begin + share * (self.end - self.begin), 1)


def _ticks(least: float, most: float) -> list[float]:
    """Return round numbers around a range, in steps of 1, 2 or 5 times a power of ten."""
    width = most - least or abs(most) or 1.0
    power = 10.0 ** math.floor(math.log10(width / TICKS))
    step = next(times * power for times in (1, 2, 5, 10) if times * power * TICKS >= width)
    first, last = math.floor(least / step), math.ceil(most / step)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _written(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)
