"""Closed windows against the same cells of the baseline: every column of every window at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from services.detector.banks.closed_windows import ClosedWindows
from services.detector.banks.compiled import dense
from services.detector.baseline import Baseline, Column
from services.detector.statistics.arrays import BoolArray
from services.detector.statistics.summary import limits_of
from services.detector.statistics.verdict import Verdicts, chosen, pooling_orders, verdicts_of
from services.detector.statistics.window_kernel import GRID_WIDTH, WIDTH, grid_statistics, statistics
from services.detector.structs import CodeArray, FloatArray, IntArray


@dataclass(frozen=True)
class JudgedWindows:
    """What closed windows say, by window and column."""

    judge: Judge
    windows: ClosedWindows
    statistics: FloatArray  # [windows, columns, WIDTH]: see `window_kernel.py`
    verdicts: Verdicts  # [windows, columns]
    # By window and column, the counts that the verdict compares with instead of the baseline's.
    references: Mapping[tuple[int, int], FloatArray] = field(default_factory=dict)
    is_trailing: BoolArray | None = None  # [windows, columns]: which of these are of the days before; None: none

    @cached_property
    def grid(self) -> FloatArray:
        """Return distances on the fine grid, [windows, columns, GRID_WIDTH]; NaN for categories."""
        return self.judge.grid(self.windows)

    def against(
        self, references: Mapping[tuple[int, int], FloatArray], statistics: FloatArray, phi: FloatArray
    ) -> JudgedWindows:
        """Return the same windows, some with verdicts of other statistics; distances stay those from the baseline.

        references: by window and column, the counts that the verdict compares with, for those that are meant.
        """
        is_other = np.zeros(statistics.shape[:2], np.bool_)
        is_other[tuple(np.array(list(references)).reshape(-1, 2).T)] = True
        verdicts = verdicts_of(statistics, phi[:, self.windows.cell].T)
        return replace(
            self,
            verdicts=chosen(is_other, verdicts, self.verdicts),
            references={**self.references, **references},
            is_trailing=None if self.is_trailing is None else self.is_trailing & ~is_other,
        )


class Judge:
    """Knows the counts of every cell of a baseline."""

    def __init__(self, baseline: Baseline) -> None:
        self._columns = [_Reference(column) for column in baseline.columns]
        self._numeric = baseline.numeric
        self._phi = baseline.arming.phi

    def judge(self, windows: ClosedWindows, phi: FloatArray | None = None) -> JudgedWindows:
        """Return statistics and verdicts of all columns; range indicators beside them are left out.

        phi: overdispersion, [columns, cells]; None: that of count windows.
        """
        found = np.empty((len(windows), len(self._columns), WIDTH))
        for place, reference in enumerate(self._columns):
            found[:, place] = reference.statistics(windows.counts_of(place), windows.cell)
        return JudgedWindows(
            self, windows, found, verdicts_of(found, (self._phi if phi is None else phi)[:, windows.cell].T)
        )

    def reread(self, cell: int) -> None:
        """Take the counts of a cell that the baseline has by now."""
        for reference in self._columns:
            reference.reread(cell)

    def grid(self, windows: ClosedWindows) -> FloatArray:
        """Return what the fine grid says, [windows, columns, GRID_WIDTH]; NaN for categories."""
        found = np.full((len(windows), len(self._columns), GRID_WIDTH), np.nan)
        moments = windows.moments
        for series, place in enumerate(self._numeric):
            ends = np.column_stack([moments.minimum[:, series], moments.maximum[:, series]])
            found[:, place] = self._columns[place].grid_statistics(windows.grid_of(place), windows.cell, ends)
        return found


class _Reference:
    """One column's counts as the kernels take them."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self._counts = dense(column.counts, np.float64)
        self._orders = pooling_orders(self._counts, ordered=column.is_numeric)
        self._grid = dense(column.grid_counts, np.int32)
        self._edges = dense(column.grid_edges, np.float64)
        self._limits = limits_of(column)

    def reread(self, cell: int) -> None:
        self._counts[cell] = self.column.counts[cell]
        self._orders[cell] = pooling_orders(self._counts[cell : cell + 1], ordered=self.column.is_numeric)[0]
        self._grid[cell] = self.column.grid_counts[cell]

    def statistics(self, counts: CodeArray, cells: IntArray) -> FloatArray:
        found = np.empty((len(cells), WIDTH))
        statistics(dense(counts, np.float64), cells, self._counts, self._orders, found)
        return found

    def grid_statistics(self, counts: CodeArray, cells: IntArray, ends: FloatArray) -> FloatArray:
        found = np.empty((len(cells), GRID_WIDTH))
        grid_statistics(dense(counts, np.int32), cells, self._grid, self._edges, ends, self._limits, found)
        return found
