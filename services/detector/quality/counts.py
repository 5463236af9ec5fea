"""How many rows of each cell's window are amiss: windows behind one another, counted row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.quality.flags import Flags
from services.detector.segments import Memberships
from services.detector.structs import IntArray
from services.detector.window_rows import Span

LARGEST_WINDOW = 32_767  # rows; what is counted of one takes two bytes


class ClosedCounts(NamedTuple):
    """One window that is whole."""

    cell: int
    span: Span
    amiss: IntArray  # [checks] rows
    known: IntArray  # [checks] rows that the check applies to


class CellCounts(msgspec.Struct):
    """The open window of each cell."""

    sizes: np.ndarray  # int64 [cells] rows of a window
    rows: np.ndarray  # int64 [cells] so far
    first: np.ndarray  # int64 [cells] the model's row with which it began
    counts: np.ndarray  # int16 [cells, 2, checks]: rows that are amiss, and that the check does not apply to

    @classmethod
    def of(cls, sizes: IntArray, checks: int) -> CellCounts:
        """Return windows of so many rows, none of which has come."""
        if sizes.size and sizes.max() > LARGEST_WINDOW:
            raise ValueError(f"a window has at most {LARGEST_WINDOW} rows")
        rows, first = np.zeros((2, len(sizes)), np.int64)
        return cls(sizes=sizes, rows=rows, first=first, counts=np.zeros((len(sizes), 2, checks), np.int16))

    def grow(self, sizes: list[int]) -> None:
        """Have room for more cells, whose windows have so many rows."""
        self.sizes = np.concatenate([self.sizes, np.array(sizes, np.int64)])
        self.rows, self.first = np.pad(self.rows, (0, len(sizes))), np.pad(self.first, (0, len(sizes)))
        self.counts = np.pad(self.counts, ((0, len(sizes)), (0, 0), (0, 0)))

    def clear(self, cell: int) -> None:
        """Begin the window of a cell anew."""
        self.rows[cell] = self.first[cell] = 0
        self.counts[cell] = 0

    def take(self, flags: Flags, cells: Memberships, first_row: int) -> Iterator[ClosedCounts]:
        """Count flags [checks, rows] of rows in their cells; return the windows that they close, in row order."""
        told = np.flatnonzero(flags.any(axis=1))
        here = np.bincount(cells[cells >= 0], minlength=len(self.sizes))
        most = int(((self.rows + here) // self.sizes).sum())
        places, counts = np.empty((most, 3), np.int64), np.empty((most, *self.counts.shape[1:]), np.int64)
        state = self.sizes, self.rows, self.first, self.counts
        _count(dense(flags, np.int8), told, dense(cells, np.int32), first_row, *state, places, counts)
        for (cell, first, last), (amiss, unknown) in zip(places.tolist(), counts, strict=True):
            yield ClosedCounts(cell, Span(first, last), amiss, self.sizes[cell] - unknown)


@kernel
def _count(
    flags: Flags,
    told: IntArray,
    cells: Memberships,
    first_row: int,
    sizes: IntArray,
    rows: IntArray,
    first: IntArray,
    counts: np.ndarray,
    places: IntArray,
    closed: IntArray,
) -> None:
    count = 0
    for row in range(cells.shape[0]):
        for membership in range(cells.shape[1]):
            cell = cells[row, membership]
            if cell < 0:
                continue
            if rows[cell] == 0:
                first[cell] = first_row + row
            rows[cell] += 1
            for i in range(told.shape[0]):
                check = told[i]
                flag = flags[check, row]
                if flag != 0:
                    counts[cell, 0 if flag > 0 else 1, check] += 1
            if rows[cell] == sizes[cell]:
                places[count, 0], places[count, 1], places[count, 2] = cell, first[cell], first_row + row
                closed[count] = counts[cell]
                counts[cell] = 0
                rows[cell] = 0
                count += 1
