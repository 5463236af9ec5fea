"""Drift of served rows: windows of every cell, and sequential detectors of numeric columns on all traffic.

All of them are worth their expected false detections per stream week, shares of one budget. What comes out, in row
order, are closed windows with their verdicts and the detections that passed the effect gate of their kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import msgspec

from services.detector import budget
from services.detector.banks.closed_windows import ClosedWindows
from services.detector.banks.windows import WindowBank
from services.detector.baseline import Baseline, window_rows
from services.detector.coded import CodeWatch, Detected
from services.detector.day_windows import DayState, DayWindows
from services.detector.figures import Ring
from services.detector.judge import JudgedWindows
from services.detector.mixes.reference import tests_per_week
from services.detector.rank_watch import RankWatch
from services.detector.seasons.calibration import Calibration, CalibrationState
from services.detector.seasons.clock import hours_of_week
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import IntArray
from services.detector.trailing import TrailingState, TrailingWatch
from services.detector.window_rows import Span
from services.detector.window_watch import Closed, Found, WindowState, WindowWatch


class DriftState(msgspec.Struct):
    """The state beside the banks."""

    windows: WindowState
    days: DayState
    trailing: TrailingState | None  # None: windows are compared with the baseline
    calibration: CalibrationState


class DriftWatch:
    """All drift detectors of one model version."""

    def __init__(self, baseline: Baseline, false_pages_per_month: float) -> None:
        self._baseline = baseline
        self._trailing = None if baseline.trailing is None else TrailingWatch(baseline, baseline.trailing)
        self._shares = budget.shares(false_pages_per_month)
        self.calibration = Calibration(baseline)
        self.windows = WindowWatch(baseline, *self._tests(self._pace()), self._trailing)
        self._days = DayWindows(baseline, self.windows.judge, self._shares.day_windows, self._trailing)
        self._places = {column.name: place for place, column in enumerate(baseline.columns)}
        self._arm()
        self._start()

    def _pace(self) -> float:
        """Return the rows a week that thresholds are made for."""
        baseline = self._baseline
        return self.calibration.state.rows_per_week or baseline.rows_per_week or float(baseline.rows)

    def _tests(self, pace: float) -> tuple[budget.WindowLevels, float]:
        windows_per_week = _windows_per_week(self._baseline, pace)
        return budget.window_levels(self._shares.windows, windows_per_week), windows_per_week

    def _arm(self) -> None:
        """Let those cells page that may by now."""
        calibration = self.calibration
        self._held, self._unsteady = calibration.held, calibration.unsteady
        self.is_armed: BoolArray = (self._baseline.arming.reason == 0) & ~self._held & ~self._unsteady
        self.windows.arm(self.is_armed, self._held, calibration.phi)

    def _start(self) -> None:
        """Start the sequential detectors anew, by what is known of all traffic."""
        learned, pace = self.calibration.all_traffic, self._pace()
        known = (None, None) if learned is None else (learned.profile, learned.by_hour)
        self._ranks = RankWatch(self._baseline, self._shares, pace, *known)
        self._codes = CodeWatch(self._baseline, self._shares, pace, *known)
        self.windows.price(*self._tests(pace))

    @property
    def armed_all_traffic(self) -> float:
        """Return the share of all-traffic cells that may page now."""
        return float(self.is_armed[:, 0].mean()) if len(self.is_armed) else 0.0

    @property
    def not_armed(self) -> dict[str, str]:
        """Return the columns that do not page on all traffic now, with the reason."""
        return {
            column.name: self.calibration.why_not(place, 0)
            for place, column in enumerate(self._baseline.columns)
            if not self.is_armed[place, 0]
        }

    def served(self, signals: Signals, ts: IntArray, times: IntArray, first_row: int) -> list[Found]:
        """Fold served rows, the first of which is the model's row `first_row`; what they brought, in row order.

        ts: of each row; times: stream time after each row. A day that ends is told of at its own last row, the one
        before the first.
        """
        found: list[Found] = []
        for part in self.calibration.parts(times, first_row):
            row = first_row + part.start
            before = self.calibration.all_traffic
            if self.calibration.begin(int(times[part.start]), row):
                self._arm()
                if self.calibration.all_traffic is not before:
                    self._start()
            found += self._part(signals.part(part), ts[part], times[part], row)
        if self._trailing is not None and len(times):
            self._trailing.forget(int(times[-1]))
        return sorted(found, key=lambda x: x.row)  # stable: at one row, windows come before sequential detectors

    def _part(self, signals: Signals, ts: IntArray, times: IntArray, first_row: int) -> list[Found]:
        """Fold rows during which the same cells may page."""
        slow = self._slow(signals, times, first_row)  # first: a window may be compared with the days before it
        clocks = self.calibration.served(signals, ts, times, first_row)
        known = None if clocks is None else partial(self._known, clocks)
        found = self.windows.served(signals, times, first_row, known)
        hours = None if self.calibration.all_traffic is None else hours_of_week(ts)
        found += self._allowed(self._ranks.update(signals, ts, first_row))
        found += self._allowed(self._codes.update(signals.codes, hours, first_row))
        return found + slow

    def _known(self, clocks: ClosedWindows, by_baseline: JudgedWindows, judged: JudgedWindows) -> JudgedWindows:
        self.calibration.closed(by_baseline, clocks)
        return self.calibration.by_season(judged, clocks)

    def _allowed(self, detections: Iterable[Detected]) -> list[Found]:
        """Return the detections of columns that may page; those of others show what live traffic is like."""
        found: list[Found] = []
        for row, culprit, chance in detections:
            place = self._places[culprit.feature]
            if self._held[place, 0]:
                self.calibration.state.restless[place] = True
            elif not self._unsteady[place, 0]:
                found.append(Found(row, [culprit], culprit.onset_row, chance))
        return found

    def _slow(self, signals: Signals, times: IntArray, first_row: int) -> list[Found]:
        found: list[Found] = []
        for judged, detected in self._days.update(signals.codes, signals.cells, times, first_row, self._held):
            if detected:
                row, since = detected[0].row, min(day.since for day in detected)
                culprits = [
                    self.windows.culprit(
                        Closed(self.windows, judged, day.place, Span(day.since, row)),
                        day.column,
                        "psi_days",
                        day.threshold,
                    )
                    for day in detected
                ]
                found.append(Found(row, culprits, since, min(day.chance_per_week for day in detected)))
        return found

    def snapshot(self) -> tuple[bytes, ...]:
        """Return the state of the banks."""
        return (
            *(self.windows.snapshot(), save(self._days.bank)),
            *(*self._codes.snapshot(), *self._ranks.snapshot()),
            *self.calibration.snapshot(),
        )

    def restore(self, state: DriftState, banks: tuple[bytes, ...]) -> None:
        """Become what gave the snapshot."""
        windows, days, *rest = banks
        self.windows.restore(state.windows, windows)
        self._days.state, self._days.bank = state.days, load(WindowBank, days)
        if self._trailing is not None and state.trailing is not None:
            self._trailing.state = state.trailing
        self.calibration.restore(state.calibration, tuple(rest[4:]))
        self._arm()
        self._start()
        self._codes.restore((rest[0], rest[1]))
        self._ranks.restore((rest[2], rest[3]))

    def rings(self) -> dict[str, Ring]:
        """Return how full the memories are."""
        return {} if self._trailing is None else {"trailing_days": self._trailing.ring}

    @property
    def state(self) -> DriftState:
        """Return the state beside the banks."""
        trailing = None if self._trailing is None else self._trailing.state
        return DriftState(self.windows.state, self._days.state, trailing, self.calibration.state)


def _windows_per_week(baseline: Baseline, rows: float) -> float:
    """Return the declared number of window tests in a week of so many rows, as `windows_per_week` does."""
    per_column = sum(
        rows * float(size) / max(baseline.rows, 1) / window_rows(cell)
        for cell, size in enumerate(baseline.cell_rows.tolist())
    )
    of_pairs = 0.0 if baseline.pairs is None else baseline.pairs.tests_per_week(rows, baseline.rows)
    of_mixes = tests_per_week(baseline.mixes, rows)
    return max(per_column * len(baseline.columns) + of_pairs + of_mixes, 1e-9)
