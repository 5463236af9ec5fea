"""Windows spread evenly over the time that they were taken in: at most so many of a cell, however long it was."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from services.detector.seasons.clock import HOURS
from services.detector.state import Fields, array, fill, integer
from services.detector.structs import CodeArray, IntArray

KEPT = 64  # windows of a cell


class WindowSample:
    """Every so many windows of each cell are kept; when they are too many, every second of them, and so on."""

    name: ClassVar[str] = "window_sample"
    version: ClassVar[int] = 1

    def __init__(self, cells: int, codes: int) -> None:
        self.windows = np.zeros(cells, np.int64)  # of each cell, kept or not
        self._stride = np.ones(cells, np.int64)
        self._held = np.zeros(cells, np.int64)
        self._counts = np.zeros((cells, KEPT, codes), np.uint16)
        self._clocks = np.zeros((cells, KEPT, HOURS), np.uint16)

    def add(self, cell: int, counts: CodeArray, clock: CodeArray) -> None:
        """Take a window: its counts of all columns side by side, and its rows at each hour of the week."""
        number = int(self.windows[cell])
        self.windows[cell] += 1
        if number % self._stride[cell]:
            return
        if self._held[cell] == KEPT:
            half = KEPT // 2
            for table in (self._counts, self._clocks):
                table[cell, :half] = table[cell, ::2]
                table[cell, half:] = 0
            self._held[cell], self._stride[cell] = half, 2 * self._stride[cell]
            if number % self._stride[cell]:
                return
        place = int(self._held[cell])
        self._counts[cell, place], self._clocks[cell, place] = counts, clock
        self._held[cell] += 1

    def of(self, cell: int) -> tuple[IntArray, IntArray]:
        """Return the kept windows of a cell: counts [windows, codes] and clocks [windows, HOURS]."""
        held = int(self._held[cell])
        return self._counts[cell, :held].astype(np.int64), self._clocks[cell, :held].astype(np.int64)

    def forget(self, cell: int) -> None:
        """Drop the windows of a cell."""
        self._held[cell] = 0
        self._counts[cell], self._clocks[cell] = 0, 0

    def snapshot(self) -> Fields:
        """Return everything that decides about the future; places without a window are left out."""
        held = self._places()
        return {
            "codes": self._counts.shape[2],
            "windows": self.windows.copy(),
            "stride": self._stride.copy(),
            "held": self._held.copy(),
            "counts": self._counts[held],
            "clocks": self._clocks[held],
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the sample that `snapshot` was taken of."""
        windows = array(fields, "windows", np.int64)
        found = cls(len(windows), integer(fields, "codes"))
        fill({"windows": found.windows, "stride": found._stride, "held": found._held}, fields)
        held = found._places()
        found._counts[held] = array(fields, "counts", np.uint16)
        found._clocks[held] = array(fields, "clocks", np.uint16)
        return found

    def _places(self) -> np.ndarray:
        return np.arange(KEPT) < self._held[:, None]
