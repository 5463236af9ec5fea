from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from services.detector.banks.closed_windows import ClosedMoments, ClosedWindows
from services.detector.banks.windows import WindowBank
from services.detector.statistics.moments import ColumnMoments
from services.detector.structs import CodeArray, FloatArray

LARGEST = float(np.finfo(np.float64).max)


NO_COLUMNS = np.zeros(0, np.int64)


def folded(bank: WindowBank, values: FloatArray, cells: CodeArray) -> ClosedWindows:
    """Return the windows that rows of numbers alone close."""
    nothing = np.zeros((len(values), 0), np.int32)
    return bank.update(nothing, cells, nothing, values)


def of_numbers(sizes: list[int], columns: int) -> WindowBank:
    return WindowBank(np.array(sizes), NO_COLUMNS, NO_COLUMNS, columns)


def of_one_window(*values: float) -> ColumnMoments:
    bank = of_numbers([len(values)], 1)
    closed = folded(bank, np.array(values)[:, None], np.zeros((len(values), 1), np.int32))
    assert len(closed) == 1
    return closed.moments.of(0, 0)


def assert_moments_are_those_of(closed: ClosedMoments, window: int, rows: FloatArray) -> None:
    for column in range(rows.shape[1]):
        known = rows[np.isfinite(rows[:, column]), column]
        found = closed.of(window, column)
        assert found.events == known.size
        assert found.mean == pytest.approx(known.mean(), rel=1e-12)
        assert found.sd == pytest.approx(known.std(), rel=1e-9)
        assert (found.minimum, found.maximum) == (known.min(), known.max())


def test_each_window_has_the_moments_of_its_own_rows() -> None:
    values = np.random.default_rng(50).normal(1e6, 3.0, size=(250, 2))
    values[::3, 1] = np.nan
    values[1::50, 0] = np.inf
    bank = of_numbers([100], 2)

    closed = folded(bank, values, np.zeros((250, 1), np.int32))

    assert (closed.row.tolist(), closed.start_row.tolist(), closed.end_row.tolist()) == ([99, 199], [0, 100], [99, 199])
    for window in range(2):
        assert_moments_are_those_of(closed.moments, window, values[100 * window : 100 * (window + 1)])


def test_numbers_are_of_the_rows_that_are_counted() -> None:
    source = np.random.default_rng(51)
    bank = WindowBank(np.array([70, 7, 1, 30]), np.ones(1, np.int64), np.zeros(1, np.int64), 1)
    windows = 0
    for rows in (0, 1, 40, 333):
        values = np.where(source.random((rows, 1)) < 0.5, np.nan, 1.0)
        cells = np.column_stack([np.zeros(rows), source.integers(1, 4, rows)]).astype(np.int32)
        cells[source.random(rows) < 0.2, 1] = -1
        codes = np.where(np.isnan(values), -1, 0).astype(np.int32)

        closed = bank.update(codes, cells, np.full((rows, 1), -1, np.int32), values)

        assert closed.moments.events.tolist() == closed.counts_of(0).tolist()
        windows += len(closed)
    assert windows > 100


def test_cells_that_are_added_count_from_their_first_row() -> None:
    bank = of_numbers([3], 1)
    folded(bank, np.array([[5.0]]), np.array([[0]], np.int32))
    bank.add_cells(np.array([1]))

    closed = folded(bank, np.array([[7.0], [9.0]]), np.array([[0, 1], [-1, 0]], np.int32))

    assert bank.cells == 2
    assert list(zip(closed.cell.tolist(), closed.moments.mean[:, 0].tolist(), strict=True)) == [(1, 7.0), (0, 7.0)]


def test_a_column_without_values_has_no_moments() -> None:
    assert of_one_window(math.nan, math.inf, -math.inf) == ColumnMoments(0, None, None, None, None)


def test_a_constant_column_has_no_spread() -> None:
    assert of_one_window(*[0.1] * 7) == ColumnMoments(7, 0.1, 0.0, 0.1, 0.1)


@pytest.mark.parametrize(
    "values",
    [
        [LARGEST, LARGEST, LARGEST],
        [LARGEST, -LARGEST, LARGEST, -LARGEST],
        [-LARGEST, LARGEST],
        [1e308, -1e308, 0.0, 1.7e308],
        [0.0, LARGEST],
    ],
    ids=repr,
)
def test_the_largest_floats_have_a_mean_and_never_nan(values: list[float]) -> None:
    found = of_one_window(*values)

    assert found.mean == pytest.approx(float(sum(map(Fraction, values)) / len(values)), rel=1e-12, abs=1e292)
    assert found.sd is None or found.sd == 0.0
    assert (found.minimum, found.maximum) == (min(values), max(values))


def test_no_mixture_of_large_and_missing_values_gives_nan() -> None:
    source = np.random.default_rng(52)
    extremes = np.array([LARGEST, -LARGEST, 1e154, -1e200, 5e-324, 0.0, math.nan, math.inf, -math.inf])
    bank = of_numbers([7], 40)

    closed = folded(bank, source.choice(extremes, (700, 40)), np.zeros((700, 1), np.int32))

    found = closed.moments
    assert not any(np.isnan(table).any() for table in (found.mean, found.squares, found.minimum, found.maximum))
    assert np.isfinite(found.mean).all()


def test_the_window_after_one_that_overflowed_is_whole() -> None:
    bank = of_numbers([2], 1)

    closed = folded(bank, np.array([[LARGEST], [-LARGEST], [1.0], [3.0]]), np.zeros((4, 1), np.int32))

    assert closed.moments.squares.tolist() == [[math.inf], [2.0]]
    assert closed.moments.of(1, 0) == ColumnMoments(2, 2.0, 1.0, 1.0, 3.0)


def test_windows_that_were_handed_out_do_not_move() -> None:
    bank = of_numbers([1], 1)
    first = folded(bank, np.array([[2.0]]), np.zeros((1, 1), np.int32))
    folded(bank, np.array([[8.0]]), np.zeros((1, 1), np.int32))
    assert first.moments.mean.tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("values", "cells", "message"),
    [
        (np.zeros((1, 2)), [[0]], "1 columns of numbers"),
        (np.zeros((2, 1)), [[0]], "different rows"),
        (np.zeros((1, 1)), [[1]], "1 cells"),
        (np.zeros((1, 1)), [[-2]], "1 cells"),
    ],
)
def test_values_and_cells_that_do_not_belong_are_refused(
    values: FloatArray, cells: list[list[int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        folded(of_numbers([2], 1), values, np.array(cells, np.int32))


def test_a_cell_that_is_cleared_begins_anew() -> None:
    bank = WindowBank(np.array([3, 3]), np.ones(1, np.int64), np.zeros(1, np.int64), 1)
    both, codes, none = np.array([[0, 1]], np.int32), np.zeros((1, 1), np.int32), np.full((1, 1), -1, np.int32)
    for value in (5.0, 6.0):
        bank.update(codes, both, none, np.array([[value]]))
    bank.clear(1)

    found = [bank.update(codes, both, none, np.array([[value]])) for value in (7.0, 8.0, 9.0)]

    assert [closed.cell.tolist() for closed in found] == [[0], [], [1]]
    assert found[0].moments.of(0, 0).mean == 6.0
    assert found[2].moments.of(0, 0) == ColumnMoments(3, 8.0, math.sqrt(2 / 3), 7.0, 9.0)
    assert (found[2].start_row.tolist(), found[2].counts.tolist()) == ([0], [[3]])
