"""Windows of whole days of stream time: a slow drift, too small for a window of a thousand rows, that goes on for days.

A day closes when stream time enters the next one; it counts where it has DAY_ROWS rows or more. Three running days over
the gate are a detection. The first day is left out, because the watch may have begun in its middle.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np

from services.detector import budget
from services.detector.banks.windows import WindowBank
from services.detector.baseline import Baseline
from services.detector.judge import Judge, JudgedWindows
from services.detector.selftest import DAY_ROWS
from services.detector.signals.columns import Codes
from services.detector.structs import FloatArray, IntArray
from services.detector.trailing import TrailingWatch
from shared.durations import UNITS_MS

RUNNING_DAYS = 3
DAYS_A_WEEK = 7
OWN_PEAK = 1.25  # times its largest own day: what an unsteady column must exceed
_ENDLESS = 1 << 62  # rows of a window that only `close` closes


class DayState(msgspec.Struct):
    """The state beside the bank."""

    day: int | None  # since 1970, of the open windows
    is_whole: bool  # the watch saw the open day begin
    first_row: int  # the model's served row that the open day began with
    running: np.ndarray  # int64 [columns, cells]: days in a row over the gate
    since: np.ndarray  # int64 [columns, cells]: served row that the first of them began with


class DayDetection(msgspec.Struct, frozen=True):
    """Three running days of one cell."""

    row: int  # the model's served row, the last of the third day
    since: int  # the first of the first day
    column: int
    cell: int
    chance_per_week: float
    threshold: float
    place: int  # of the third day among `judged`


class DayWindows:
    """All day windows of one model version."""

    def __init__(self, baseline: Baseline, judge: Judge, share: float, trailing: TrailingWatch | None = None) -> None:
        self._trailing = trailing  # who keeps the days
        shape = (len(baseline.columns), len(baseline.cells))
        self._judge = judge
        self._phi = baseline.days.phi
        is_armed = baseline.days.reason == 0
        usual = np.array([column.day_gate for column in baseline.columns]).reshape(-1, 1)
        self._gates = np.where(is_armed, np.where(baseline.days.unsteady, OWN_PEAK * baseline.days.peak, usual), np.inf)
        self._windows_per_week = max(int(is_armed.sum()), 1) * DAYS_A_WEEK
        self._level = budget.running_level(share, self._windows_per_week, RUNNING_DAYS)
        self.state = DayState(None, False, 0, np.zeros(shape, np.int64), np.zeros(shape, np.int64))
        self.bank = WindowBank(
            np.full(shape[1], _ENDLESS),
            np.array([column.bins for column in baseline.columns], np.int64),
            np.zeros(shape[0], np.int64),
        )

    def update(
        self, codes: Codes, cells: Codes, times: IntArray, first_row: int
    ) -> list[tuple[JudgedWindows, list[DayDetection]]]:
        """Fold served rows, with stream time after each; return every day that they ended, with its detections."""
        days = times // UNITS_MS["d"]
        cuts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
        found: list[tuple[JudgedWindows, list[DayDetection]]] = []
        for start, stop in pairwise(cuts):
            if start == stop:
                continue
            day = int(days[start])
            if self.state.day != day:
                if self.state.day is not None:
                    found += self._ended(first_row + start - 1)
                self.state.is_whole = self.state.day is not None
                self.state.day, self.state.first_row = day, first_row + start
                if self._trailing is not None and self.state.is_whole:
                    self._trailing.begun(day)
            self.bank.update(codes[start:stop, : len(self._gates)], cells[start:stop])
        return found

    def _ended(self, row: int) -> list[tuple[JudgedWindows, list[DayDetection]]]:
        windows = self.bank.close(0)
        if self._trailing is not None and self.state.day is not None:
            self._trailing.ended(self.state.day, windows)
        if not self.state.is_whole or len(windows) == 0:
            return []
        judged = self._judge.judge(windows, self._phi)
        return [(judged, self._detected(judged, row))]

    def _detected(self, judged: JudgedWindows, row: int) -> list[DayDetection]:
        found: list[DayDetection] = []
        state, windows, verdicts = self.state, judged.windows, judged.verdicts
        enough = windows.end_row - windows.start_row + 1 >= DAY_ROWS
        for place in np.flatnonzero(enough).tolist():
            cell = int(windows.cell[place])
            effects, chances = verdicts.psi_debiased[place], verdicts.p_value[place]
            is_over = (effects >= self._gates[:, cell]) & (chances < self._level)
            running = np.where(is_over, state.running[:, cell] + 1, 0)
            state.since[:, cell] = np.where(running == 1, state.first_row, state.since[:, cell])
            state.running[:, cell] = running
            found += [
                DayDetection(
                    row,
                    int(state.since[column, cell]),
                    column,
                    cell,
                    self._chance(chances[column : column + 1]),
                    float(self._gates[column, cell]),
                    place,
                )
                for column in np.flatnonzero(running >= RUNNING_DAYS).tolist()
            ]
        return found

    def _chance(self, p_value: FloatArray) -> float:
        """Return how many triples at least as strong a week brings, had each of the three the chance of the last."""
        return float(p_value[0]) ** RUNNING_DAYS * self._windows_per_week
