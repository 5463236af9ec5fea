"""Lines over rows, as the numbers that a drawing needs."""

from __future__ import annotations

import pytest

from services.cli.backtest.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Point, chart


def test_rows_run_from_the_left_to_the_right_and_values_upwards() -> None:
    drawn = chart("psi", [Point(0, 0.0), Point(500, 0.5), Point(1_000, 1.0)], 1_000)

    (left, low), (middle, half), (right, high) = drawn.dots
    assert (left, middle, right) == (LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT)
    assert (low, half, high) == (HEIGHT - BOTTOM, (HEIGHT - BOTTOM + TOP) / 2, TOP)
    assert drawn.line == " ".join(f"{x:g},{y:g}" for x, y in drawn.dots)
    assert drawn.said == "psi: 0 at first, 1 at last, between 0 and 1"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.91, 0.98], ["0.9", "0.92", "0.94", "0.96", "0.98"]),
        ([-120.0, -40.0], ["-120", "-100", "-80", "-60", "-40"]),
        ([0.0], ["0", "0.5"]),
        ([1e-9, 3e-9], ["1e-09", "1.5e-09", "2e-09", "2.5e-09", "3e-09"]),
    ],
)
def test_an_axis_has_a_few_round_numbers(values: list[float], texts: list[str]) -> None:
    drawn = chart("metric", [Point(row, value) for row, value in enumerate(values)], len(values))

    assert [tick.text for tick in drawn.up] == texts


def test_an_interval_is_an_area_around_the_line_and_inside_the_drawing() -> None:
    drawn = chart("accuracy", [Point(10, 0.9, 0.8, 1.0), Point(20, 0.9), Point(30, 0.7, 0.6, 0.8)], 30)

    corners = [tuple(map(float, corner.split(","))) for corner in drawn.band.split()]
    assert len(corners) == 4  # of the two that have one
    assert all(TOP <= y <= HEIGHT - BOTTOM for _, y in corners)
    assert corners[0][0] == drawn.dots[0][0] == corners[-1][0]


def test_what_was_detected_is_marked_once_where_it_was() -> None:
    drawn = chart("psi", [Point(100, 1.0)], 200, [50, 50, 200])

    assert drawn.marks == [LEFT + (WIDTH - RIGHT - LEFT) / 4, WIDTH - RIGHT]
