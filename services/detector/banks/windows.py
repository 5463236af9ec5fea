"""Tumbling count windows: how often each code occurred in each cell, over a fixed number of the cell's own rows.

A cell is what is judged on its own: all traffic, or one segment. Every row counts in each of its cells, for every
column; a window closes at the row that fills it and the next begins empty, so windows do not depend on batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.compiled import dense, kernel
from services.detector.banks.window_moments import ClosedMoments
from services.detector.state import Fields, array, fill
from services.detector.structs import CodeArray, IntArray

MISSING = -1  # as a code: the column had no value; as a grid code or a cell: none


@dataclass(frozen=True, slots=True)
class ClosedWindows:
    """What cells saw between two of their rows each; one entry per window, ordered by (row, cell)."""

    row: IntArray  # row of the batch at which it closed
    cell: IntArray
    start_row: IntArray  # 0-based count of the cell's rows, both inclusive
    end_row: IntArray
    counts: CodeArray  # [windows, codes of all columns side by side]
    missing: CodeArray  # [windows, columns]
    unseen: CodeArray  # [windows, columns]
    grid: CodeArray  # [windows, grid codes of all columns side by side]
    starts: IntArray  # [columns + 1] where each column's codes begin
    grid_starts: IntArray  # [columns + 1] the same of its grid codes
    moments: ClosedMoments | None = None  # of numeric columns, where a bank of moments closed the same windows

    def part(self, windows: slice) -> ClosedWindows:
        """Return some of the windows."""
        taken = {name: getattr(self, name)[windows] for name in _OF_WINDOWS}
        return replace(self, **taken, moments=None if self.moments is None else self.moments.part(windows))

    def __len__(self) -> int:
        return len(self.row)

    def counts_of(self, column: int) -> CodeArray:
        """Return how often each code of a column occurred, [windows, codes]."""
        return self.counts[:, self.starts[column] : self.starts[column + 1]]

    def grid_of(self, column: int) -> CodeArray:
        """Return how often each grid code of a column occurred; no codes for a column without a grid."""
        return self.grid[:, self.grid_starts[column] : self.grid_starts[column + 1]]


_OF_WINDOWS = ("row", "cell", "start_row", "end_row", "counts", "missing", "unseen", "grid")


class _State(NamedTuple):
    sizes: IntArray  # [cells] rows that make a window
    rows: IntArray  # [cells] rows seen since the cell was added
    filled: IntArray  # [cells] rows in the open window
    # [cells, codes of all columns side by side, then each column's missing ones, then its unseen]
    counts: NDArray[np.integer]
    grid: NDArray[np.integer]  # [cells, grid codes of all columns side by side, then those that have none, modulo]


class WindowBank:
    """The open window of every cell.

    Args:
        sizes: rows per window, [cells]; at least 1.
        bins: codes per column, [columns]. Code `bins` of a column stands for a level that the baseline never saw.
        grid: codes of the column's finer histogram, [columns]; 0 where it has none.
    """

    name: ClassVar[str] = "windows"
    version: ClassVar[int] = 3

    def __init__(self, sizes: IntArray, bins: IntArray, grid: IntArray) -> None:
        self._bins = dense(bins, np.int64).copy()
        self._grid = dense(grid, np.int64).copy()
        self._starts, self._grid_starts = _starts(self._bins), _starts(self._grid)
        self._state = _empty(np.zeros(0, np.int64), self._bins, self._grid)
        self.add_cells(sizes)

    @property
    def cells(self) -> int:
        """Return how many cells there are."""
        return len(self._state.sizes)

    def add_cells(self, sizes: IntArray) -> None:
        """Append cells, numbered on from the last.

        Raises:
            ValueError: a window of no rows.
        """
        if np.any(sizes < 1):
            raise ValueError("a window has at least one row")
        added = _empty(dense(sizes, np.int64), self._bins, self._grid)
        self._state = _State(*[np.concatenate(tables) for tables in zip(self._state, added, strict=True)])
        kind = _kind(self._state.sizes)
        self._state = self._state._replace(counts=self._state.counts.astype(kind), grid=self._state.grid.astype(kind))

    def clear(self, cell: int) -> None:
        """Forget the rows of a cell; its next one is its first."""
        for table in (self._state.rows, self._state.filled, self._state.counts, self._state.grid):
            table[cell] = 0

    def update(self, codes: CodeArray, cells: CodeArray, grid_codes: CodeArray) -> ClosedWindows:
        """Count rows; return the windows they closed.

        Args:
            codes: [rows, columns]; MISSING, a code, or `bins` of the column for an unseen level.
            cells: [rows, memberships], MISSING where a row has fewer; the cells of one row are different.
            grid_codes: [rows, columns]; MISSING or a grid code.

        Raises:
            ValueError: a code or a cell is none of the bank's.
        """
        codes, cells, grid_codes = (dense(table, np.int32) for table in (codes, cells, grid_codes))
        self._check(codes, cells, grid_codes)
        visits = np.bincount(cells[cells >= 0], minlength=self.cells)
        closing = int(((self._state.filled + visits) // self._state.sizes).sum())
        closed = np.empty((closing, 3), np.int64)
        counts, grid = (
            np.empty((closing, table.shape[1]), np.int32) for table in (self._state.counts, self._state.grid)
        )
        _update(self._places(codes), self._grid_places(grid_codes), cells, self._state, closed, counts, grid)
        order = np.lexsort((closed[:, 1], closed[:, 0]))
        closed = closed[order]
        return self._closed(closed, closed[:, 2] - self._state.sizes[closed[:, 1]] + 1, counts[order], grid[order])

    def close(self, row: int) -> ClosedWindows:
        """Close the open window of every cell that has rows in it, at a row of the caller's."""
        cell = np.flatnonzero(self._state.filled)
        closed = np.column_stack([np.full(len(cell), row), cell, self._state.rows[cell] - 1])
        starts = self._state.rows[cell] - self._state.filled[cell]
        found = self._closed(
            closed, starts, *(table[cell].astype(np.int32) for table in (self._state.counts, self._state.grid))
        )
        for table in (self._state.filled, self._state.counts, self._state.grid):
            table[cell] = 0
        return found

    def _closed(self, closed: IntArray, start_row: IntArray, counts: CodeArray, grid: CodeArray) -> ClosedWindows:
        row, cell, end_row = (np.ascontiguousarray(column) for column in closed.T)
        ends = [int(self._starts[-1]), int(self._starts[-1]) + len(self._bins)]
        known, missing, unseen = np.split(counts, ends, axis=1)
        of_grid = grid[:, : self._grid_starts[-1]]
        return ClosedWindows(
            row, cell, start_row, end_row, known, missing, unseen, of_grid, self._starts, self._grid_starts
        )

    def _places(self, codes: CodeArray) -> CodeArray:
        """Return where each code is counted."""
        missing = self._starts[-1] + np.arange(len(self._bins))
        places = np.where(codes < self._bins, self._starts[:-1] + codes, missing + len(self._bins))
        return np.where(codes < 0, missing, places).astype(np.int32)

    def _grid_places(self, codes: CodeArray) -> CodeArray:
        return np.where(codes < 0, self._grid_starts[-1], self._grid_starts[:-1] + codes).astype(np.int32)

    def snapshot(self) -> Fields:
        """Return everything that decides about the future."""
        return {
            "bins": self._bins.copy(),
            "grid_bins": self._grid.copy(),
            **{name: values.copy() for name, values in self._state._asdict().items()},
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        bank = cls(*(array(fields, name, np.int64) for name in ("sizes", "bins", "grid_bins")))
        fill(bank._state._asdict(), fields)
        return bank

    def _check(self, codes: CodeArray, cells: CodeArray, grid_codes: CodeArray) -> None:
        if not len(codes) == len(cells) == len(grid_codes):
            raise ValueError("codes, cells and grid codes are of different rows")
        if np.any(codes < MISSING) or np.any(codes > self._bins):
            raise ValueError("a code is outside its column's bins")
        if np.any(grid_codes < MISSING) or np.any(grid_codes >= np.maximum(self._grid, 0)):
            raise ValueError("a grid code is outside its column's grid")
        if np.any(cells < MISSING) or np.any(cells >= self.cells):
            raise ValueError(f"there are {self.cells} cells")


def _starts(widths: IntArray) -> IntArray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(widths)])


def _empty(sizes: IntArray, bins: IntArray, grid: IntArray) -> _State:
    cells, kind = len(sizes), _kind(sizes)
    return _State(
        sizes=sizes,
        rows=np.zeros(cells, np.int64),
        filled=np.zeros(cells, np.int64),
        counts=np.zeros((cells, int(bins.sum()) + 2 * len(bins)), kind),
        grid=np.zeros((cells, int(grid.sum()) + 1), kind),
    )


def _kind(sizes: IntArray) -> type[np.integer]:
    """Return what counts of windows of such sizes need; half the memory is half of what a row must fetch."""
    return np.uint16 if sizes.max(initial=0) < 1 << 16 else np.int32


@kernel
def _update(
    places: CodeArray,
    grid_places: CodeArray,
    cells: CodeArray,
    state: _State,
    closed: IntArray,
    counts: CodeArray,
    grid: CodeArray,
) -> None:
    count = 0
    for row in range(cells.shape[0]):
        for membership in range(cells.shape[1]):
            cell = cells[row, membership]
            if cell < 0:
                continue
            for column in range(places.shape[1]):
                state.counts[cell, places[row, column]] += 1
            for column in range(places.shape[1]):
                state.grid[cell, grid_places[row, column]] += 1
            state.rows[cell] += 1
            state.filled[cell] += 1
            if state.filled[cell] < state.sizes[cell]:
                continue
            closed[count, 0] = row
            closed[count, 1] = cell
            closed[count, 2] = state.rows[cell] - 1
            counts[count] = state.counts[cell]
            grid[count] = state.grid[cell]
            count += 1
            state.filled[cell] = 0
            state.counts[cell] = 0
            state.grid[cell] = 0
