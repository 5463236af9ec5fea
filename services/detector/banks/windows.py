"""Tumbling count windows: how often each code occurred in each cell, over a fixed number of the cell's own rows.

Of numbers also mean, spread and range: Welford, Technometrics 4, 1962.

A cell is what is judged on its own: all traffic, or one segment. Every row counts in each of its cells, for every
column; a window closes at the row that fills it and the next begins empty, so windows do not depend on batches.

The counts of a cell take many times the memory that a row of it touches, too much of it for the processor's cache when
cells are many. So a block's rows are taken cell by cell, and the last rows of a cell wait as codes, one behind the
other, and are counted together. That is no state: whatever looks at the counts has those rows counted first.
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.closed_windows import ClosedMoments, ClosedWindows, Layout
from services.detector.banks.compiled import dense, kernel
from services.detector.banks.prefetch import prefetch
from services.detector.state import Fields, array, fill, integer
from services.detector.structs import CodeArray, FloatArray, IntArray

MISSING = -1  # as a code: the column had no value; as a grid code or a cell: none
_MAX_CODES = (1 << 16) - 2  # of a column: two more are what is missing and what is unseen
_WAITING = 64  # rows of a cell that are counted together
_AHEAD = 4  # turns, between asking for memory and needing it
_LINE = 8  # values that memory brings at once
_EVENTS, _MEAN, _SQUARES, _MINIMUM, _MAXIMUM = range(5)
_NO_MOMENTS = (0.0, 0.0, 0.0, math.inf, -math.inf)

_index = np.uint64  # numba asks of a signed index whether it counts from the end


class _State(NamedTuple):
    sizes: IntArray  # [cells] rows that make a window
    rows: IntArray  # [cells] rows seen since the cell was added
    filled: IntArray  # [cells] rows in the open window
    counts: NDArray[np.integer]  # [cells, layout]
    moments: FloatArray  # [cells, numeric columns, 5]


class _Waiting(NamedTuple):
    """Rows of open windows that are not counted yet; their moments are."""

    codes: NDArray[np.uint16]  # [cells, _WAITING, columns, then those that have a grid]: 0 missing, else 1 + the code
    rows: IntArray  # [cells] how many


class WindowBank:
    """The open window of every cell.

    Args:
        sizes: rows per window, [cells]; at least 1.
        bins: codes per column, [columns]. Code `bins` of a column stands for a level that the baseline never saw.
        grid: codes of the column's finer histogram, [columns]; 0 where it has none.
        numeric: how many columns of numbers there are.

    Raises:
        ValueError: a window of no rows, or a column of more codes than 65,534.
    """

    name: ClassVar[str] = "windows"
    version: ClassVar[int] = 5

    def __init__(self, sizes: IntArray, bins: IntArray, grid: IntArray, numeric: int = 0) -> None:
        self._layout = Layout.of(bins, grid)
        if max(self._layout.bins.max(initial=0), self._layout.grid.max(initial=0)) > _MAX_CODES:
            raise ValueError(f"a column has at most {_MAX_CODES} codes")
        gridded = self._layout.grid > 0
        self._starts = np.concatenate([self._layout.starts, self._layout.grid_starts[gridded]]).astype(_index)
        self._numeric = numeric
        self._state, self._waiting = self._empty(np.zeros(0, np.int64))
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
        state, waiting = self._empty(dense(sizes, np.int64))
        self._state = _State(*[np.concatenate([old, new]) for old, new in zip(self._state, state, strict=True)])
        self._state = self._state._replace(counts=self._state.counts.astype(_kind(self._state.sizes)))
        self._waiting = _Waiting(*[np.concatenate([old, new]) for old, new in zip(self._waiting, waiting, strict=True)])

    def clear(self, cell: int) -> None:
        """Forget the rows of a cell; its next one is its first."""
        state = self._state
        state.rows[cell], state.filled[cell], state.counts[cell], state.moments[cell] = 0, 0, 0, _NO_MOMENTS
        self._waiting.rows[cell] = 0

    def update(
        self,
        codes: CodeArray,
        cells: CodeArray,
        grid_codes: CodeArray | None = None,
        values: FloatArray | None = None,
    ) -> ClosedWindows:
        """Count rows; return the windows they closed.

        Args:
            codes: [rows, columns]; MISSING, a code, or `bins` of the column for an unseen level.
            cells: [rows, memberships], MISSING where a row has fewer; the cells of one row are different.
            grid_codes: [rows, columns]; MISSING or a grid code. None where no column has a grid.
            values: [rows, numeric columns]; one that is not finite is no event of its column. None without such.

        Raises:
            ValueError: a code or a cell is none of the bank's, or tables are of different rows or other columns.
        """
        nothing = np.zeros((len(codes), 0))
        coded = self._coded(dense(codes, np.int32), dense(nothing if grid_codes is None else grid_codes, np.int32))
        cells, values = dense(cells, np.int32), dense(nothing if values is None else values, np.float64)
        if not len(coded) == len(cells) == len(values):
            raise ValueError("codes, cells and values are of different rows")
        if values.shape[1] != self._numeric:
            raise ValueError(f"there are {self._numeric} columns of numbers")
        closing = _closing(cells, self._state.sizes, self._state.filled.copy())
        if closing < 0:
            raise ValueError(f"there are {self.cells} cells")
        closed = np.empty((closing, 3), np.int64)
        counts, moments = np.empty((closing, self._layout.width), np.int32), np.empty((closing, self._numeric, 5))
        _update(coded, cells, values, self._state, self._waiting, self._starts, closed, counts, moments)
        order = np.lexsort((closed[:, 1], closed[:, 0]))
        row, cell, end_row = (np.ascontiguousarray(column) for column in closed[order].T)
        return self._closed(row, cell, end_row - self._state.sizes[cell] + 1, end_row, counts[order], moments[order])

    def close(self, row: int) -> ClosedWindows:
        """Close the open window of every cell that has rows in it, at a row of the caller's."""
        state = self._counted()
        cell = np.flatnonzero(state.filled)
        end_row = state.rows[cell] - 1
        start_row = end_row - state.filled[cell] + 1
        rows = np.full(len(cell), row)
        found = self._closed(rows, cell, start_row, end_row, state.counts[cell].astype(np.int32), state.moments[cell])
        state.filled[cell], state.counts[cell], state.moments[cell] = 0, 0, _NO_MOMENTS
        return found

    def snapshot(self) -> Fields:
        """Return everything that decides about the future; only the windows of cells that have rows in them."""
        state = self._counted()
        is_open = state.filled > 0
        return {
            "bins": self._layout.bins.copy(),
            "grid": self._layout.grid.copy(),
            "numeric": self._numeric,
            **{name: values.copy() for name, values in _per_cell(state).items()},
            "counts": state.counts[is_open],
            "moments": state.moments[is_open],
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        sizes, bins, grid = (array(fields, name, np.int64) for name in ("sizes", "bins", "grid"))
        bank = cls(sizes, bins, grid, integer(fields, "numeric"))
        fill(_per_cell(bank._state), fields)
        state, is_open = bank._state, bank._state.filled > 0
        state.counts[is_open] = array(fields, "counts", state.counts.dtype.type)
        state.moments[is_open] = array(fields, "moments", np.float64)
        return bank

    def _coded(self, codes: CodeArray, grid_codes: CodeArray) -> NDArray[np.uint16]:
        """Return codes and grid codes as they wait."""
        columns = len(self._layout.bins)
        if len(codes) != len(grid_codes):
            raise ValueError("codes and grid codes are of different rows")
        has_grids = len(self._starts) > columns
        if codes.shape[1] != columns or grid_codes.shape[1] not in {columns, columns if has_grids else 0}:
            raise ValueError(f"there are {columns} columns")
        coded = np.empty((len(codes), len(self._starts)), np.uint16)
        limits, grid_limits = (self._layout.bins + 1).astype(np.int32), self._layout.grid.astype(np.int32)
        if not _code(codes, limits, np.arange(columns, dtype=_index), coded, _index(0)):
            raise ValueError("a code is outside its column's bins")
        if not _code(grid_codes, grid_limits, np.flatnonzero(self._layout.grid).astype(_index), coded, _index(columns)):
            raise ValueError("a grid code is outside its column's grid")
        return coded

    def _counted(self) -> _State:
        """Return the state with no row waiting."""
        _count_all(self._state, self._waiting, self._starts)
        return self._state

    def _closed(
        self,
        row: IntArray,
        cell: IntArray,
        start_row: IntArray,
        end_row: IntArray,
        counts: CodeArray,
        moments: FloatArray,
    ) -> ClosedWindows:
        by_name = ClosedMoments(*np.moveaxis(moments, 2, 0).copy())
        return ClosedWindows(row, cell, start_row, end_row, counts, by_name, self._layout)

    def _empty(self, sizes: IntArray) -> tuple[_State, _Waiting]:
        cells = len(sizes)
        none = np.zeros(cells, np.int64)
        moments = np.tile(_NO_MOMENTS, (cells, self._numeric, 1))
        state = _State(sizes, none, none.copy(), np.zeros((cells, self._layout.width), _kind(sizes)), moments)
        return state, _Waiting(np.zeros((cells, _WAITING, len(self._starts)), np.uint16), none.copy())


def _per_cell(state: _State) -> dict[str, IntArray]:
    return {"sizes": state.sizes, "rows": state.rows, "filled": state.filled}


def _kind(sizes: IntArray) -> type[np.integer]:
    """Return what counts of windows of such sizes need; half the memory is half of what a row must fetch."""
    return np.uint16 if sizes.max(initial=0) < 1 << 16 else np.int32


@kernel
def _code(
    codes: CodeArray, limits: CodeArray, columns: NDArray[np.uint64], coded: NDArray[np.uint16], first: np.uint64
) -> bool:
    """Fill `coded` from its column `first` on with some columns, and tell whether all codes are below their limits."""
    fits = True
    for row in range(codes.shape[0]):
        for column in range(codes.shape[1]):
            code = codes[row, column]
            fits &= (code >= MISSING) & (code < limits[column])
        for place in range(columns.shape[0]):
            coded[row, first + _index(place)] = codes[row, columns[place]] + 1
    return fits


@kernel
def _closing(cells: CodeArray, sizes: IntArray, filled: IntArray) -> int:
    """Return how many windows rows of these cells close, -1 where one is none of the bank's; `filled` moves on."""
    closing = 0
    for row in range(cells.shape[0]):
        for membership in range(cells.shape[1]):
            cell = cells[row, membership]
            if cell < MISSING or cell >= filled.shape[0]:
                return -1
            if cell >= 0:
                filled[cell] += 1
                if filled[cell] == sizes[cell]:
                    filled[cell] = 0
                    closing += 1
    return closing


@kernel
def _count(cell: np.uint64, state: _State, waiting: _Waiting, starts: NDArray[np.uint64]) -> None:
    """Count the rows of a cell that wait."""
    for row in range(waiting.rows[cell]):
        for place in range(starts.shape[0]):
            state.counts[cell, starts[place] + waiting.codes[cell, row, place]] += 1
    waiting.rows[cell] = 0


@kernel
def _count_all(state: _State, waiting: _Waiting, starts: NDArray[np.uint64]) -> None:
    for cell in range(waiting.rows.shape[0]):
        _count(_index(cell), state, waiting, starts)


@kernel
def _fold(kept: FloatArray, cell: np.uint64, column: np.uint64, value: float) -> None:
    events, mean = kept[cell, column, _EVENTS] + 1.0, kept[cell, column, _MEAN]
    difference = value - mean
    if math.isfinite(difference):
        mean += difference / events
    else:
        mean += value / events - mean / events  # a mean lies between values, however far apart they are
    square = difference * (value - mean)
    kept[cell, column, _EVENTS] = events
    kept[cell, column, _MEAN] = mean
    kept[cell, column, _SQUARES] += square if math.isfinite(square) else math.inf
    kept[cell, column, _MINIMUM] = min(kept[cell, column, _MINIMUM], value)
    kept[cell, column, _MAXIMUM] = max(kept[cell, column, _MAXIMUM], value)


@kernel
def _cell_by_cell(cells: CodeArray, count: int) -> tuple[CodeArray, CodeArray]:
    """Return every row and one of its cells, by cell, those of a cell in order."""
    ends = np.zeros(count, np.int64)
    for row in range(cells.shape[0]):
        for membership in range(cells.shape[1]):
            if cells[row, membership] >= 0:
                ends[cells[row, membership]] += 1
    ends = np.cumsum(ends)
    rows, ordered = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.int32)
    for row in range(cells.shape[0] - 1, -1, -1):
        for membership in range(cells.shape[1]):
            cell = cells[row, membership]
            if cell >= 0:
                ends[cell] -= 1
                rows[ends[cell]] = row
                ordered[ends[cell]] = cell
    return rows, ordered


@kernel
def _ask(
    coded: NDArray[np.uint16],
    values: FloatArray,
    codes: NDArray[np.uint16],
    moments: FloatArray,
    row: np.uint64,
    cell: np.uint64,
    last: np.uint64,
) -> None:
    """Ask for what a row brings to a cell, and for where it goes."""
    prefetch(coded, row, _index(0))
    for column in range(0, values.shape[1], _LINE):
        prefetch(values, row, _index(column))
    prefetch(codes, cell, last)
    for column in range(moments.shape[1]):
        prefetch(moments, cell, _index(column))


@kernel
def _update(
    coded: NDArray[np.uint16],
    cells: CodeArray,
    values: FloatArray,
    state: _State,
    waiting: _Waiting,
    starts: NDArray[np.uint64],
    closed: IntArray,
    counts: CodeArray,
    moments: FloatArray,
) -> None:
    count = 0
    rows, cells = _cell_by_cell(cells, state.sizes.shape[0])
    codes, kept = waiting.codes, state.moments  # taken from their tuple in every turn, each would be counted as in use
    for turn in range(rows.shape[0]):
        if turn + _AHEAD < rows.shape[0]:
            row, cell = _index(rows[turn + _AHEAD]), _index(cells[turn + _AHEAD])
            _ask(coded, values, codes, kept, row, cell, _index(waiting.rows[cell]))
        row, cell = _index(rows[turn]), _index(cells[turn])
        for column in range(values.shape[1]):
            if math.isfinite(values[row, column]):
                _fold(state.moments, cell, _index(column), values[row, column])
        last = _index(waiting.rows[cell])
        for place in range(coded.shape[1]):
            waiting.codes[cell, last, place] = coded[row, place]
        waiting.rows[cell] += 1
        state.rows[cell] += 1
        state.filled[cell] += 1
        is_full = state.filled[cell] == state.sizes[cell]
        if is_full or waiting.rows[cell] == _WAITING:
            _count(cell, state, waiting, starts)
        if not is_full:
            continue
        closed[count, 0] = row
        closed[count, 1] = cell
        closed[count, 2] = state.rows[cell] - 1
        counts[count] = state.counts[cell]
        moments[count] = state.moments[cell]
        count += 1
        state.filled[cell] = 0
        state.counts[cell] = 0
        for column in range(values.shape[1]):
            for which in range(5):
                state.moments[cell, column, which] = _NO_MOMENTS[which]
