"""The open windows of a baseline's cells: how often each code occurred, and the moments of numbers."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from services.detector.banks.closed_windows import ClosedWindows
from services.detector.banks.windows import WindowBank
from services.detector.baseline import Baseline
from services.detector.signals.plan import Signals
from services.detector.state import Fields


class CellWindows:
    """A bank of windows that takes signals."""

    name: ClassVar[str] = "cell_windows"
    version: ClassVar[int] = 3

    def __init__(self, bank: WindowBank) -> None:
        self._bank = bank

    @classmethod
    def of(cls, baseline: Baseline, sizes: list[int]) -> Self:
        """Return the windows of a baseline's columns, then of its range indicators; `sizes` are rows per window."""
        indicators = len(baseline.ranged)
        bins = np.array([column.bins for column in baseline.columns] + [2] * indicators, np.int64)
        grid = np.array([column.grid_counts.shape[1] for column in baseline.columns] + [0] * indicators, np.int64)
        return cls(WindowBank(np.array(sizes, np.int64), bins, grid, len(baseline.numeric)))

    def add_cells(self, sizes: list[int]) -> None:
        """Append cells, numbered on from the last."""
        self._bank.add_cells(np.array(sizes, np.int64))

    def clear(self, cell: int) -> None:
        """Forget the rows of a cell."""
        self._bank.clear(cell)

    def update(self, signals: Signals) -> ClosedWindows:
        """Fold rows; return the windows they closed."""
        return self._bank.update(signals.codes, signals.cells, signals.grid, signals.values)

    def close(self, row: int) -> ClosedWindows:
        """Close the open window of every cell that has rows in it, at a row of the caller's."""
        return self._bank.close(row)

    def snapshot(self) -> Fields:
        """Return everything that decides about the future."""
        return self._bank.snapshot()

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the windows that `snapshot` was taken of."""
        return cls(WindowBank.restore(fields))
