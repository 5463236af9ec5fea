"""Windows of whole days of stream time: a slow drift, too small for a window of a thousand rows, that goes on for days.

A day closes when stream time enters the next one; it counts where it has DAY_ROWS rows or more. Three running days over
the gate are a detection. The first day is left out, because the watch may have begun in its middle.

A column whose reference says nothing of its days learns their peak while it calibrates, and is held to that afterwards.
Until a cell has calibrated, one day over the gate of short windows is a detection: what differs from the first day on
is a drift, however soon live traffic gets used to it.
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
from services.detector.statistics.arrays import BoolArray
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
    peak: np.ndarray  # float64 [columns, cells]: largest debiased PSI of a day while the cell calibrated


class DayDetection(msgspec.Struct, frozen=True):
    """Three running days of one cell; one day of a cell that calibrates."""

    row: int  # the model's served row, the last of the last day
    since: int  # the first of the first day
    column: int
    cell: int
    chance_per_week: float
    threshold: float
    place: int  # of the last day among `judged`


class DayWindows:
    """All day windows of one model version."""

    def __init__(self, baseline: Baseline, judge: Judge, share: float, trailing: TrailingWatch | None = None) -> None:
        self._trailing = trailing  # who keeps the days
        shape = (len(baseline.columns), len(baseline.cells))
        self._judge = judge
        self._phi = baseline.days.phi
        self._is_armed = baseline.days.reason == 0
        self._is_tested = np.array([not why for why in baseline.untested], np.bool_)[:, None]
        usual = np.array([column.day_gate for column in baseline.columns]).reshape(-1, 1)
        self._gates_of_windows = np.array([column.gate for column in baseline.columns]).reshape(-1, 1)
        self._gates = np.where(baseline.days.unsteady, OWN_PEAK * baseline.days.peak, usual)
        self._windows_per_week = max(int(self._is_armed.sum()), 1) * DAYS_A_WEEK
        self._level = budget.running_level(share, self._windows_per_week, RUNNING_DAYS)
        self._single_level = budget.running_level(share, self._windows_per_week, 1)
        self.state = DayState(
            None, False, 0, np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, -np.inf)
        )
        self.bank = WindowBank(
            np.full(shape[1], _ENDLESS),
            np.array([column.bins for column in baseline.columns], np.int64),
            np.zeros(shape[0], np.int64),
        )

    def update(
        self, codes: Codes, cells: Codes, times: IntArray, first_row: int, held: BoolArray
    ) -> list[tuple[JudgedWindows, list[DayDetection]]]:
        """Fold served rows, with stream time after each; return every day that they ended, with its detections.

        held: the cells that calibrate, [columns, cells].
        """
        days = times // UNITS_MS["d"]
        cuts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
        found: list[tuple[JudgedWindows, list[DayDetection]]] = []
        for start, stop in pairwise(cuts):
            if start == stop:
                continue
            day = int(days[start])
            if self.state.day != day:
                if self.state.day is not None:
                    found += self._ended(first_row + start - 1, held)
                self.state.is_whole = self.state.day is not None
                self.state.day, self.state.first_row = day, first_row + start
                if self._trailing is not None and self.state.is_whole:
                    self._trailing.begun(day)
            self.bank.update(codes[start:stop, : len(self._gates)], cells[start:stop])
        return found

    def _ended(self, row: int, held: BoolArray) -> list[tuple[JudgedWindows, list[DayDetection]]]:
        windows = self.bank.close(0)
        if self._trailing is not None and self.state.day is not None:
            self._trailing.ended(self.state.day, windows)
        if not self.state.is_whole or len(windows) == 0:
            return []
        judged = self._judge.judge(windows, self._phi)
        return [(judged, self._detected(judged, row, held))]

    def _detected(self, judged: JudgedWindows, row: int, held: BoolArray) -> list[DayDetection]:
        found: list[DayDetection] = []
        gates, single = self._running_gates(held), self._single_gates(held)
        state, windows, verdicts = self.state, judged.windows, judged.verdicts
        enough = windows.end_row - windows.start_row + 1 >= DAY_ROWS
        for place in np.flatnonzero(enough).tolist():
            cell = int(windows.cell[place])
            effects, chances = verdicts.psi_debiased[place], verdicts.p_value[place]
            is_over = (effects >= gates[:, cell]) & (chances < self._level)
            running = np.where(is_over, state.running[:, cell] + 1, 0)
            state.since[:, cell] = np.where(running <= 1, state.first_row, state.since[:, cell])
            state.running[:, cell] = running
            is_alone = (effects >= single[:, cell]) & (chances < self._single_level)
            found += [
                DayDetection(
                    row,
                    int(state.since[column, cell]),
                    column,
                    cell,
                    float(chances[column]) ** (1 if is_alone[column] else RUNNING_DAYS) * self._windows_per_week,
                    float((single if is_alone[column] else gates)[column, cell]),
                    place,
                )
                for column in np.flatnonzero((running >= RUNNING_DAYS) | is_alone).tolist()
            ]
            self._learn(cell, effects, held)
        return found

    def _running_gates(self, held: BoolArray) -> FloatArray:
        """Return the gates of three running days; infinite where they are no detection."""
        learned = np.maximum(self._gates, OWN_PEAK * self.state.peak)
        known = np.where(self._is_tested, self._gates, np.where(held, np.inf, learned))
        return np.where(self._is_armed, known, np.inf)

    def _single_gates(self, held: BoolArray) -> FloatArray:
        """Return the gates of one day; infinite where that is no detection."""
        return np.where(self._is_armed & held, np.maximum(self._gates, self._gates_of_windows), np.inf)

    def _learn(self, cell: int, effects: FloatArray, held: BoolArray) -> None:
        is_learning = held[:, cell] & ~self._is_tested[:, 0]
        peak = self.state.peak
        peak[is_learning, cell] = np.maximum(peak[is_learning, cell], effects[is_learning])
