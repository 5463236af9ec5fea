"""Windows of another size than detection's: what a report shows, and nothing is found by."""

from __future__ import annotations

import msgspec

from services.detector.baseline import Baseline
from services.detector.cell_windows import CellWindows
from services.detector.judge import Judge
from services.detector.report import Sink
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.window_rows import Span, WindowRows


class ReportState(msgspec.Struct):
    """What is kept of them."""

    bank: bytes
    opened: list[int]  # by cell: the model's served row at which the open window may begin


class ReportWindows:
    """The report windows of every cell, of `sizes` rows each."""

    def __init__(self, baseline: Baseline, sizes: list[int], rows: WindowRows, sink: Sink) -> None:
        self._bank = CellWindows.of(baseline, sizes)
        self._opened = [0] * len(sizes)
        self._judge, self._rows, self._sink = Judge(baseline), rows, sink

    def served(self, signals: Signals, first_row: int) -> None:
        """Count served rows, the first of which is the model's row `first_row`; hand over what they closed."""
        windows = self._bank.update(signals)
        if len(windows) == 0:
            return
        judged = self._judge.judge(windows)
        for place, (row, cell) in enumerate(zip(windows.row.tolist(), windows.cell.tolist(), strict=True)):
            span = Span(self._opened[cell], first_row + row)
            self._opened[cell] = first_row + row + 1
            for found in self._rows.of(judged, place, span):
                self._sink.window(found)

    def snapshot(self) -> ReportState:
        """Return the state."""
        return ReportState(save(self._bank), self._opened)

    def restore(self, state: ReportState) -> None:
        """Become what gave the snapshot."""
        self._bank, self._opened = load(CellWindows, state.bank), state.opened
