"""Mean, spread and range of every numeric column in the open window of every cell: Welford, Technometrics 4, 1962.

The companion of `WindowBank`: given the same sizes and cells it closes the same windows at the same rows, because a
row counts in its cells whether its values are there or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple, Self

import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.state import Fields, array, fill, integer
from services.detector.statistics.moments import ColumnMoments
from services.detector.structs import CodeArray, FloatArray, IntArray

_NO_CELL = -1


@dataclass(frozen=True, slots=True)
class ClosedMoments:
    """What cells saw between two of their rows each; one entry per window, ordered by (row, cell).

    A column without values has mean 0, minimum +inf and maximum -inf. Squares are +inf where they exceed the floats;
    nothing is NaN.
    """

    row: IntArray  # row of the batch at which it closed
    cell: IntArray
    start_row: IntArray  # 0-based count of the cell's rows, both inclusive
    end_row: IntArray
    events: IntArray  # [windows, columns] values that were there
    mean: FloatArray  # [windows, columns]
    squares: FloatArray  # [windows, columns] sum of squared deviations from the mean
    minimum: FloatArray  # [windows, columns]
    maximum: FloatArray  # [windows, columns]

    def __len__(self) -> int:
        return len(self.row)

    def of(self, window: int, column: int) -> ColumnMoments:
        """Return what one column of one window says."""
        at = window, column
        return ColumnMoments.of(
            int(self.events[at]),
            float(self.mean[at]),
            float(self.squares[at]),
            float(self.minimum[at]),
            float(self.maximum[at]),
        )

    def part(self, windows: slice) -> ClosedMoments:
        """Return some of the windows."""
        return ClosedMoments(*[getattr(self, field.name)[windows] for field in fields(self)])


class _State(NamedTuple):
    sizes: IntArray  # [cells] rows that make a window
    rows: IntArray  # [cells] rows seen since the cell was added
    filled: IntArray  # [cells] rows in the open window
    events: IntArray  # [cells, columns], like all that follow
    mean: FloatArray
    squares: FloatArray
    minimum: FloatArray
    maximum: FloatArray


class WindowMomentsBank:
    """The moments of the open window of every cell.

    Args:
        sizes: rows per window, [cells]; at least 1.
        columns: how many numeric columns there are.
    """

    name: ClassVar[str] = "window_moments"
    version: ClassVar[int] = 1

    def __init__(self, sizes: IntArray, columns: int) -> None:
        self._columns = columns
        self._state = _empty(np.zeros(0, np.int64), columns)
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
        added = _empty(dense(sizes, np.int64), self._columns)._asdict()
        present = self._state._asdict()
        self._state = _State(**{name: np.concatenate([present[name], added[name]]) for name in present})

    def clear(self, cell: int) -> None:
        """Forget the rows of a cell; its next one is its first."""
        empty = _empty(self._state.sizes[cell : cell + 1], self._columns)._asdict()
        for name, table in self._state._asdict().items():
            table[cell] = empty[name][0]

    def update(self, values: FloatArray, cells: CodeArray) -> ClosedMoments:
        """Fold rows; return the windows they closed.

        Args:
            values: [rows, columns]; one that is not finite is no event of its column.
            cells: [rows, memberships], -1 where a row has fewer; the cells of one row are different.

        Raises:
            ValueError: values of other columns, or a cell that is none of the bank's.
        """
        values, cells = dense(values, np.float64), dense(cells, np.int32)
        self._check(values, cells)
        visits = np.bincount(cells[cells >= 0], minlength=self.cells)
        closing = int(((self._state.filled + visits) // self._state.sizes).sum())
        closed = np.empty((closing, 3), np.int64)
        events = np.empty((closing, self._columns), np.int64)
        moments = np.empty((closing, 4, self._columns))
        _update(values, cells, self._state, closed, events, moments)
        order = np.lexsort((closed[:, 1], closed[:, 0]))
        row, cell, end_row = (np.ascontiguousarray(column) for column in closed[order].T)
        mean, squares, minimum, maximum = (np.ascontiguousarray(moments[order, place]) for place in range(4))
        start_row = end_row - self._state.sizes[cell] + 1
        return ClosedMoments(row, cell, start_row, end_row, events[order], mean, squares, minimum, maximum)

    def close(self, row: int) -> ClosedMoments:
        """Close the open window of every cell that has rows in it, at a row of the caller's."""
        state = self._state
        cell = np.flatnonzero(state.filled)
        moments = [table[cell] for table in (state.mean, state.squares, state.minimum, state.maximum)]
        end_row = state.rows[cell] - 1
        rows = np.full(len(cell), row), cell, end_row - state.filled[cell] + 1, end_row
        closed = ClosedMoments(*rows, state.events[cell], *moments)
        empty = _empty(state.sizes[cell], self._columns)
        for name in ("filled", "events", "mean", "squares", "minimum", "maximum"):
            getattr(state, name)[cell] = getattr(empty, name)
        return closed

    def snapshot(self) -> Fields:
        """Return everything that decides about the future."""
        return {
            "columns": self._columns,
            **{name: values.copy() for name, values in self._state._asdict().items()},
        }

    @classmethod
    def restore(cls, kept: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        bank = cls(array(kept, "sizes", np.int64), integer(kept, "columns"))
        fill(bank._state._asdict(), kept)
        return bank

    def _check(self, values: FloatArray, cells: CodeArray) -> None:
        if values.shape[1] != self._columns:
            raise ValueError(f"there are {self._columns} columns")
        if len(values) != len(cells):
            raise ValueError("values and cells are of different rows")
        if np.any(cells < _NO_CELL) or np.any(cells >= self.cells):
            raise ValueError(f"there are {self.cells} cells")


def _empty(sizes: IntArray, columns: int) -> _State:
    shape = (len(sizes), columns)
    return _State(
        sizes=sizes,
        rows=np.zeros(len(sizes), np.int64),
        filled=np.zeros(len(sizes), np.int64),
        events=np.zeros(shape, np.int64),
        mean=np.zeros(shape),
        squares=np.zeros(shape),
        minimum=np.full(shape, math.inf),
        maximum=np.full(shape, -math.inf),
    )


@kernel
def _fold(state: _State, cell: int, column: int, value: float) -> None:
    state.events[cell, column] += 1
    events, mean = state.events[cell, column], state.mean[cell, column]
    difference = value - mean
    if math.isfinite(difference):
        mean += difference / events
    else:
        mean += value / events - mean / events  # a mean lies between values, however far apart they are
    square = difference * (value - mean)
    state.mean[cell, column] = mean
    state.squares[cell, column] += square if math.isfinite(square) else math.inf
    state.minimum[cell, column] = min(state.minimum[cell, column], value)
    state.maximum[cell, column] = max(state.maximum[cell, column], value)


@kernel
def _update(
    values: FloatArray, cells: CodeArray, state: _State, closed: IntArray, events: IntArray, moments: FloatArray
) -> None:
    count = 0
    for row in range(values.shape[0]):
        for membership in range(cells.shape[1]):
            cell = cells[row, membership]
            if cell < 0:
                continue
            for column in range(values.shape[1]):
                if math.isfinite(values[row, column]):
                    _fold(state, cell, column, values[row, column])
            state.rows[cell] += 1
            state.filled[cell] += 1
            if state.filled[cell] < state.sizes[cell]:
                continue
            closed[count, 0] = row
            closed[count, 1] = cell
            closed[count, 2] = state.rows[cell] - 1
            events[count] = state.events[cell]
            moments[count, 0] = state.mean[cell]
            moments[count, 1] = state.squares[cell]
            moments[count, 2] = state.minimum[cell]
            moments[count, 3] = state.maximum[cell]
            count += 1
            state.filled[cell] = 0
            state.events[cell] = 0
            state.mean[cell] = 0.0
            state.squares[cell] = 0.0
            state.minimum[cell] = math.inf
            state.maximum[cell] = -math.inf
