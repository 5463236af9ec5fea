from __future__ import annotations

import numpy as np
import pytest

from services.detector.banks.windows import WindowBank
from services.detector.state import load, save
from services.detector.structs import CodeArray
from tests.kit.windows import each

BINS, GRID = np.array([3, 2]), np.array([5, 0])


def table(*rows: list[int]) -> CodeArray:
    return np.array(rows, np.int32)


def test_a_window_closes_at_the_row_that_fills_it_and_counts_each_code() -> None:
    bank = WindowBank(np.array([4]), BINS, GRID)
    codes = table([0, 1], [2, -1], [3, 2], [2, 0], [1, 1])
    grid = table([0, -1], [4, -1], [-1, -1], [4, -1], [2, -1])
    (window,) = each(bank.update(codes, np.zeros((5, 1), np.int32), grid))
    assert (window.row, window.cell, window.start_row, window.end_row) == (3, 0, 0, 3)
    assert window.counts == [[1, 0, 2], [1, 1]]
    assert window.missing == [0, 1]
    assert window.unseen == [1, 1]
    assert window.grid == [[1, 0, 0, 0, 2], []]


def test_windows_of_all_cells_come_in_the_order_of_rows_and_cells() -> None:
    bank = WindowBank(np.array([4, 2, 2]), BINS, GRID)
    rows = 8
    cells = table(*([0, 2, 1] if row % 2 else [0, 2, -1] for row in range(rows)))
    closed = each(bank.update(np.zeros((rows, 2), np.int32), cells, np.full((rows, 2), -1, np.int32)))
    assert [(w.row, w.cell, w.start_row, w.end_row) for w in closed] == [
        (1, 2, 0, 1),
        (3, 0, 0, 3),
        (3, 1, 0, 1),
        (3, 2, 2, 3),
        (5, 2, 4, 5),
        (7, 0, 4, 7),
        (7, 1, 2, 3),
        (7, 2, 6, 7),
    ]
    assert all(sum(window.counts[0]) == window.end_row - window.start_row + 1 for window in closed)


def test_a_window_may_close_many_times_within_a_batch() -> None:
    bank = WindowBank(np.array([1]), BINS, GRID)
    codes = table([0, 0], [1, 0], [2, 0])
    closed = each(bank.update(codes, np.zeros((3, 1), np.int32), np.full((3, 2), -1, np.int32)))
    assert [window.counts[0] for window in closed] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_cells_that_are_added_count_from_their_first_row() -> None:
    bank = WindowBank(np.array([3]), BINS, GRID)
    none = np.full((1, 2), -1, np.int32)
    bank.update(table([0, 0]), table([0]), none)
    bank.add_cells(np.array([2]))
    assert bank.cells == 2
    bank.update(table([1, 0]), table([0, 1]), none)
    closed = each(bank.update(table([2, 0]), table([1, 0]), none))
    assert [(w.cell, w.start_row, w.end_row, w.counts[0]) for w in closed] == [
        (0, 0, 2, [1, 1, 1]),
        (1, 0, 1, [0, 1, 1]),
    ]


def test_closed_windows_do_not_change_with_the_next_rows() -> None:
    bank = WindowBank(np.array([1]), BINS, GRID)
    none = np.full((1, 2), -1, np.int32)
    first = bank.update(table([0, 0]), table([0]), none)
    bank.update(table([1, 1]), table([0]), none)
    assert first.counts_of(0).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("codes", "cell", "grid", "message"),
    [
        ([4, 0], 0, [0, -1], "code is outside"),
        ([-2, 0], 0, [0, -1], "code is outside"),
        ([0, 0], 0, [5, -1], "grid code is outside"),
        ([0, 0], 0, [0, 0], "grid code is outside"),
        ([0, 0], 1, [0, -1], "1 cells"),
    ],
)
def test_codes_and_cells_that_do_not_exist_are_refused(
    codes: list[int], cell: int, grid: list[int], message: str
) -> None:
    bank = WindowBank(np.array([2]), BINS, GRID)
    before = save(bank)
    with pytest.raises(ValueError, match=message):
        bank.update(table(codes), table([cell]), table(grid))
    assert save(bank) == before


def test_no_column_needs_a_grid() -> None:
    bank = WindowBank(np.array([1]), BINS, np.zeros(2, np.int64))
    for grid in (table([-1, -1]), None):
        (window,) = each(bank.update(table([2, 1]), table([0]), grid))
        assert window.counts == [[0, 0, 1], [0, 1]]
        assert window.grid == [[], []]


def test_rows_count_whether_a_snapshot_was_taken_amid_them_or_not() -> None:
    source = np.random.default_rng(54)
    sizes, rows = np.array([1_000, 70_000, 3]), 3_000
    codes = np.column_stack([source.integers(-1, 4, rows), source.integers(-1, 3, rows)]).astype(np.int32)
    grid = np.column_stack([source.integers(-1, 5, rows), np.full(rows, -1)]).astype(np.int32)
    cells = np.column_stack([np.zeros(rows), source.integers(1, 3, rows)]).astype(np.int32)
    watched, alone = WindowBank(sizes, BINS, GRID), WindowBank(sizes, BINS, GRID)
    found = []
    for row in range(rows):
        one = slice(row, row + 1)
        found += each(watched.update(codes[one], cells[one], grid[one]))
        watched.snapshot()

    expected = each(alone.update(codes, cells, grid))

    assert [window._replace(row=0) for window in found] == [window._replace(row=0) for window in expected]
    assert each(watched.close(0)) == each(alone.close(0))
    for window in expected:
        assert sum(window.counts[0]) + window.missing[0] + window.unseen[0] == window.end_row - window.start_row + 1


def test_only_open_windows_take_room_in_a_snapshot() -> None:
    one, many = (WindowBank(np.full(cells, 2), BINS, GRID, 1) for cells in (1, 1_001))
    for bank in (one, many):
        bank.update(table([0, 0]), table([0]), table([0, -1]), np.ones((1, 1)))

    assert len(save(many)) < len(save(one)) + 3 * 1_000 + 10
    assert save(load(WindowBank, save(many))) == save(many)


@pytest.mark.parametrize(
    ("codes", "cells", "grid"),
    [
        (table([0, 0]), table([0], [0]), table([0, -1])),
        (table([0, 0]), table([0]), table([0, -1], [0, -1])),
        (table([0, 0], [0, 0]), table([0]), table([0, -1], [0, -1])),
    ],
)
def test_tables_of_different_lengths_are_refused(codes: CodeArray, cells: CodeArray, grid: CodeArray) -> None:
    with pytest.raises(ValueError, match="different rows"):
        WindowBank(np.array([2]), BINS, GRID).update(codes, cells, grid)


@pytest.mark.parametrize(
    ("codes", "grid"), [(table([0]), table([0, -1])), (table([0, 0]), table([0])), (table([0, 0, 0]), table([0, -1]))]
)
def test_tables_of_other_columns_are_refused(codes: CodeArray, grid: CodeArray) -> None:
    with pytest.raises(ValueError, match="2 columns"):
        WindowBank(np.array([2]), BINS, GRID).update(codes, table([0]), grid)


def test_a_column_of_more_codes_than_can_wait_is_refused() -> None:
    with pytest.raises(ValueError, match="65534 codes"):
        WindowBank(np.array([1]), np.array([65_535]), np.zeros(1, np.int64))


def test_a_window_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        WindowBank(np.array([0]), BINS, GRID)


def test_codes_of_all_columns_stand_side_by_side() -> None:
    bank = WindowBank(np.array([3]), BINS, GRID)

    closed = bank.update(table([0, 1], [-1, 2], [2, 0]), np.zeros((3, 1), np.int32), table([4, -1], [0, -1], [-1, -1]))

    assert closed.counts.tolist() == [[1, 0, 1, 1, 1]]
    assert closed.grid.tolist() == [[1, 0, 0, 0, 1]]
    assert WindowBank(np.array([1]), BINS[:0], GRID[:0]).update(table([]), table([0])).counts.tolist() == [[]]
