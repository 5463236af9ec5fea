"""The open windows of cells: how often each code occurred, and the moments of numbers, over the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np

from services.detector.banks.window_moments import WindowMomentsBank
from services.detector.banks.windows import ClosedWindows, WindowBank
from services.detector.baseline import Baseline
from services.detector.signals.plan import Signals
from services.detector.state import Fields
from shared.errors import Corrupt


class CellWindows:
    """Both banks of windows, which close the same windows."""

    name: ClassVar[str] = "cell_windows"
    version: ClassVar[int] = 1

    def __init__(self, windows: WindowBank, moments: WindowMomentsBank) -> None:
        self._windows = windows
        self._moments = moments

    @classmethod
    def of(cls, baseline: Baseline, sizes: list[int]) -> Self:
        """Return the windows of a baseline's columns, then of its range indicators; `sizes` are rows per window."""
        indicators = len(baseline.ranged)
        rows = np.array(sizes, np.int64)
        bins = np.array([column.bins for column in baseline.columns] + [2] * indicators, np.int64)
        grid = np.array([column.grid_counts.shape[1] for column in baseline.columns] + [0] * indicators, np.int64)
        return cls(WindowBank(rows, bins, grid), WindowMomentsBank(rows, len(baseline.numeric)))

    def add_cells(self, sizes: list[int]) -> None:
        """Append cells, numbered on from the last."""
        rows = np.array(sizes, np.int64)
        self._windows.add_cells(rows)
        self._moments.add_cells(rows)

    def clear(self, cell: int) -> None:
        """Forget the rows of a cell."""
        self._windows.clear(cell)
        self._moments.clear(cell)

    def update(self, signals: Signals) -> ClosedWindows:
        """Fold rows; return the windows they closed."""
        moments = self._moments.update(signals.values, signals.cells)
        return replace(self._windows.update(signals.codes, signals.cells, signals.grid), moments=moments)

    def close(self, row: int) -> ClosedWindows:
        """Close the open window of every cell that has rows in it, at a row of the caller's."""
        return replace(self._windows.close(row), moments=self._moments.close(row))

    def snapshot(self) -> Fields:
        """Return everything that decides about the future."""
        return {"windows": self._windows.snapshot(), "moments": self._moments.snapshot()}

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the windows that `snapshot` was taken of."""
        windows, moments = fields.get("windows"), fields.get("moments")
        if not isinstance(windows, Mapping) or not isinstance(moments, Mapping):
            raise Corrupt("no windows in the state of windows")
        return cls(WindowBank.restore(dict(windows)), WindowMomentsBank.restore(dict(moments)))
