"""How often each code occurred in each cell at each hour of the week: what a week of live traffic is learned in."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.seasons.clock import HOURS
from services.detector.state import Fields, array, integer
from services.detector.structs import CodeArray, IntArray

_LEARNS_NOT = -1


class HourlyCountsBank:
    """Counts of the cells that learn; a row counts in each of its cells, at its own hour.

    Args:
        cells: that there are; the first `learning` of them learn.
        bins: codes per column, [columns]; other codes are not counted.
    """

    name: ClassVar[str] = "hourly_counts"
    version: ClassVar[int] = 1

    def __init__(self, cells: int, learning: int, bins: IntArray) -> None:
        self._bins = dense(bins, np.int64).copy()
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(self._bins)])
        self._slots = np.where(np.arange(cells) < learning, np.arange(cells), _LEARNS_NOT)
        # The rows of an hour are the last column.
        self._counts = np.zeros((learning, HOURS, int(self._starts[-1]) + 1), np.int32)

    def update(self, codes: CodeArray, cells: CodeArray, hours: CodeArray) -> None:
        """Count rows: codes [rows, columns], cells [rows, memberships], the hour of the week of each row [rows]."""
        codes, cells, hours = (dense(table, np.int32) for table in (codes, cells, hours))
        _count(codes, cells, hours, self._slots, self._bins, self._starts, self._counts)

    def rows_of(self, cell: int) -> IntArray:
        """Return the rows of a cell at each hour, [HOURS]."""
        return self._counts[cell, :, -1].astype(np.int64)

    def counts_of(self, cell: int) -> CodeArray:
        """Return the counts of a cell, [HOURS, codes of all columns side by side]."""
        return self._counts[cell, :, :-1]

    def finish(self, cell: int) -> None:
        """Stop learning of a cell."""
        self._slots[cell] = _LEARNS_NOT
        self._counts[cell] = 0

    def snapshot(self) -> Fields:
        """Return everything that decides about the future; hours without rows are left out."""
        held = np.flatnonzero(self._counts[:, :, -1].ravel())
        width = self._counts.shape[2]
        return {
            "slots": self._slots.copy(),
            "learning": len(self._counts),
            "bins": self._bins.copy(),
            "held": held,
            "counts": self._counts.reshape(-1, width)[held],
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        slots = array(fields, "slots", np.int64)
        bank = cls(len(slots), integer(fields, "learning"), array(fields, "bins", np.int64))
        bank._slots[:] = slots
        bank._counts.reshape(-1, bank._counts.shape[2])[array(fields, "held", np.int64)] = array(
            fields, "counts", np.int32
        )
        return bank


@kernel
def _count(
    codes: CodeArray,
    cells: CodeArray,
    hours: CodeArray,
    slots: IntArray,
    bins: IntArray,
    starts: IntArray,
    counts: CodeArray,
) -> None:
    rows_at = counts.shape[2] - 1
    for row in range(cells.shape[0]):
        for membership in range(cells.shape[1]):
            cell = cells[row, membership]
            if cell < 0 or slots[cell] < 0:
                continue
            counts[cell, hours[row], rows_at] += 1
            for column in range(bins.shape[0]):
                code = codes[row, column]
                if 0 <= code < bins[column]:
                    counts[cell, hours[row], starts[column] + code] += 1
