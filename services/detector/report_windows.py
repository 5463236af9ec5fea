"""Report windows of another size than detection's, for people who want their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from operator import itemgetter

import msgspec
import numpy as np

from services.detector.banks.closed_windows import ClosedWindows
from services.detector.baseline import Baseline
from services.detector.cell_windows import CellWindows
from services.detector.judge import Judge, JudgedWindows
from services.detector.report import Sink, WindowRow
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.window_rows import Span, WindowRows

Reported = tuple[int, list[WindowRow]]  # the model's served row that closed a window, and its rows


class ReportState(msgspec.Struct):
    """Everything that decides about the future."""

    bank: bytes
    opened: np.ndarray  # int64 [cells]: served row at which the cell's open window may begin


class ReportWindows:
    """The report windows of a baseline's cells, all of as many rows."""

    def __init__(self, baseline: Baseline, version: str, rows: int, judge: Judge | None = None) -> None:
        self._rows = rows
        self._bank = CellWindows.of(baseline, [rows] * len(baseline.cells))
        self._opened = np.zeros(len(baseline.cells), np.int64)
        self._judge, self._rendered = judge or Judge(baseline), WindowRows(baseline, version)

    def served(self, signals: Signals, first_row: int) -> Iterator[Reported]:
        """Fold served rows, the first of which is the model's row `first_row`; what they closed."""
        windows = self.fold(signals)
        return self.rows(self._judge.judge(windows), first_row) if len(windows) else iter(())

    def fold(self, signals: Signals) -> ClosedWindows:
        """Fold served rows; return the windows that they closed, which `rows` is to be asked for in their order."""
        return self._bank.update(signals)

    def rows(self, judged: JudgedWindows, first_row: int) -> Iterator[Reported]:
        """Yield closed windows, each with its rows."""
        windows = judged.windows
        for place, (row, cell) in enumerate(zip(windows.row.tolist(), windows.cell.tolist(), strict=True)):
            span = Span(int(self._opened[cell]), first_row + row)
            self._opened[cell] = first_row + row + 1
            yield span.last, list(self._rendered.of(judged, place, span))

    def grow(self, baseline: Baseline, version: str) -> None:
        """Go on with a baseline that has more cells behind those of before."""
        added = len(baseline.cells) - len(self._opened)
        self._bank.add_cells([self._rows] * added)
        self._opened = np.pad(self._opened, (0, added))
        self._rendered = WindowRows(baseline, version)

    def begin(self, cell: int, row: int) -> None:
        """Begin a cell anew at a served row."""
        self._bank.clear(cell)
        self._opened[cell] = row

    def snapshot(self) -> ReportState:
        """Return the state."""
        return ReportState(save(self._bank), self._opened)

    def restore(self, state: ReportState) -> None:
        """Become what gave the snapshot."""
        self._bank, self._opened = load(CellWindows, state.bank), state.opened


def hand_over(sink: Sink, *reported: Iterable[Reported]) -> None:
    """Give a sink the windows of several, by the row that closed them."""
    for _, rows in sorted(chain(*reported), key=itemgetter(0)):
        for row in rows:
            sink.window(row)
