"""What closed windows say: how often each code occurred, and the moments of numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from services.detector.banks.compiled import dense
from services.detector.statistics.moments import ColumnMoments
from services.detector.structs import CodeArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the counts of a cell stand.

    Side by side: of each column what is missing, each code, and what is unseen; then of each column that has a grid
    what is missing there and each grid code.
    """

    bins: IntArray  # [columns] codes
    grid: IntArray  # [columns] grid codes; 0 where it has no grid
    starts: IntArray  # [columns] where each column begins
    grid_starts: IntArray  # [columns] where its grid does
    width: int  # of everything

    @classmethod
    def of(cls, bins: IntArray, grid: IntArray) -> Self:
        """Return the layout of columns with so many codes and grid codes."""
        bins, grid = dense(bins, np.int64).copy(), dense(grid, np.int64).copy()
        widths = np.concatenate([bins + 2, np.where(grid > 0, grid + 1, 0)])
        ends = np.cumsum(widths)
        starts, grid_starts = np.split(ends - widths, [len(bins)])
        return cls(bins, grid, starts, grid_starts, int(widths.sum()))


@dataclass(frozen=True, slots=True)
class ClosedMoments:
    """Of numeric columns, [windows, columns].

    A column without values has mean 0, minimum +inf and maximum -inf. Squares are +inf where they exceed the floats;
    nothing is NaN.
    """

    events: FloatArray  # values that were there: whole numbers
    mean: FloatArray
    squares: FloatArray  # sum of squared deviations from the mean
    minimum: FloatArray
    maximum: FloatArray

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


@dataclass(frozen=True, slots=True)
class ClosedWindows:
    """What cells saw between two of their rows each; one entry per window, ordered by (row, cell)."""

    row: IntArray  # row of the batch at which it closed
    cell: IntArray
    start_row: IntArray  # 0-based count of the cell's rows, both inclusive
    end_row: IntArray
    table: CodeArray  # [windows, layout]
    moments: ClosedMoments
    layout: Layout

    def part(self, windows: slice) -> ClosedWindows:
        """Return some of the windows."""
        taken = {name: getattr(self, name)[windows] for name in ("row", "cell", "start_row", "end_row", "table")}
        return replace(self, **taken, moments=self.moments.part(windows))

    def __len__(self) -> int:
        return len(self.row)

    @property
    def counts(self) -> CodeArray:
        """Return how often each code occurred, [windows, codes of all columns side by side]."""
        return self.table[:, _places(self.layout.starts + 1, self.layout.bins)]

    @property
    def grid(self) -> CodeArray:
        """Return how often each grid code occurred, [windows, grid codes of all columns side by side]."""
        return self.table[:, _places(self.layout.grid_starts + 1, self.layout.grid)]

    @property
    def missing(self) -> CodeArray:
        """Return how often each column had no value, [windows, columns]."""
        return self.table[:, self.layout.starts]

    @property
    def unseen(self) -> CodeArray:
        """Return how often each column had a level that the baseline never saw, [windows, columns]."""
        return self.table[:, self.layout.starts + self.layout.bins + 1]

    def counts_of(self, column: int) -> CodeArray:
        """Return how often each code of a column occurred, [windows, codes]."""
        first = self.layout.starts[column] + 1
        return self.table[:, first : first + self.layout.bins[column]]

    def grid_of(self, column: int) -> CodeArray:
        """Return how often each grid code of a column occurred; no codes for a column without a grid."""
        first = self.layout.grid_starts[column] + 1
        return self.table[:, first : first + self.layout.grid[column]]


def _places(starts: IntArray, widths: IntArray) -> IntArray:
    """Return the places of several parts of a table, side by side."""
    before = np.cumsum(widths) - widths
    places: IntArray = np.arange(widths.sum()) + np.repeat(starts - before, widths)
    return places
