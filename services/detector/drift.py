"""Drift of served rows: windows of every cell, and sequential detectors of numeric columns on all traffic.

All of them are worth their expected false detections per stream week, shares of one budget. What comes out, in row
order, are closed windows with their verdicts and the detections that passed the effect gate of their kind.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from services.detector import budget
from services.detector.banks.adwin import AdwinBank
from services.detector.banks.detections import Detections
from services.detector.banks.page_hinkley import VERDICT_DELTA, PageHinkleyBank
from services.detector.banks.windows import WindowBank
from services.detector.baseline import ALL, Baseline, window_rows
from services.detector.coded import CodeWatch
from services.detector.day_windows import DayState, DayWindows
from services.detector.figures import Ring
from services.detector.sequential import NORMAL_SCORE_GATE, RANK_GATE, adwin_bank, page_hinkley_bank, read_window
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.structs import IntArray
from services.detector.trailing import TrailingState, TrailingWatch
from services.detector.window_rows import Span
from services.detector.window_watch import Closed, Found, WindowState, WindowWatch
from shared.events.alert import Culprit


class DriftState(msgspec.Struct):
    """The state beside the banks."""

    windows: WindowState
    days: DayState
    trailing: TrailingState | None  # None: windows are compared with the baseline


class DriftWatch:
    """All drift detectors of one model version."""

    def __init__(self, baseline: Baseline, false_pages_per_month: float) -> None:
        shares, windows_per_week = budget.shares(false_pages_per_month), _windows_per_week(baseline)
        levels = budget.window_levels(shares.windows, windows_per_week)
        self._trailing = None if baseline.trailing is None else TrailingWatch(baseline, baseline.trailing)
        self.windows = WindowWatch(baseline, levels, windows_per_week, self._trailing)
        pace = baseline.rows_per_week or float(baseline.rows)
        self._sequential = _Sequential(baseline, shares, pace)
        self._codes = CodeWatch(baseline, shares, pace)
        self._days = DayWindows(baseline, self.windows.judge, shares.day_windows, self._trailing)

    def served(self, signals: Signals, times: IntArray, first_row: int) -> list[Found]:
        """Fold served rows, the first of which is the model's row `first_row`; what they brought, in row order.

        times: stream time after each row. A day that ends is told of at its own last row, the one before the first.
        """
        slow = self._slow(signals, times, first_row)  # first: a window may be compared with the days before it
        found = self.windows.served(signals, times, first_row)
        if self._trailing is not None and len(times):
            self._trailing.forget(int(times[-1]))
        found += self._sequential.update(signals, first_row)
        found += [
            Found(row, [culprit], culprit.onset_row, chance)
            for row, culprit, chance in self._codes.update(signals.codes, first_row)
        ]
        found += slow
        return sorted(found, key=lambda x: x.row)  # stable: at one row, windows come before sequential detectors

    def _slow(self, signals: Signals, times: IntArray, first_row: int) -> list[Found]:
        found: list[Found] = []
        for judged, detected in self._days.update(signals.codes, signals.cells, times, first_row):
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
        return (self.windows.snapshot(), save(self._days.bank), *self._codes.snapshot(), *self._sequential.snapshot())

    def restore(self, state: DriftState, banks: tuple[bytes, ...]) -> None:
        """Become what gave the snapshot."""
        windows, days, *rest = banks
        self.windows.restore(state.windows, windows)
        self._days.state, self._days.bank = state.days, load(WindowBank, days)
        if self._trailing is not None and state.trailing is not None:
            self._trailing.state = state.trailing
        self._codes.restore((rest[0], rest[1]))
        self._sequential.restore((rest[2], rest[3]))

    def rings(self) -> dict[str, Ring]:
        """Return how full the memories are."""
        return {} if self._trailing is None else {"trailing_days": self._trailing.ring}

    @property
    def state(self) -> DriftState:
        """Return the state beside the banks."""
        return DriftState(
            self.windows.state, self._days.state, None if self._trailing is None else self._trailing.state
        )


class _Sequential:
    """Page-Hinkley on normal scores and ADWIN on ranks, for the columns whose self-test allows them."""

    def __init__(self, baseline: Baseline, shares: budget.Shares, rows_per_week: float) -> None:
        watched = baseline.sequential
        self._columns = [baseline.columns[s.column] for s in watched]
        self._page_hinkley_allowed = np.array([not s.page_hinkley for s in watched], np.bool_)
        self._adwin_allowed = np.array([not s.adwin for s in watched], np.bool_)
        self._updates_per_week = max(rows_per_week * len(watched), 1.0)
        self._adwin_chance = shares.adwin
        means = np.array([baseline.columns[s.column].normal_mean for s in watched], np.float64)
        gates = np.array([column.shift_gate for column in self._columns], np.float64)
        self._page_hinkley = page_hinkley_bank(means, shares.page_hinkley, rows_per_week, gates)
        self._adwin = adwin_bank(len(watched), shares.adwin, rows_per_week, gates)
        for place, column in enumerate(watched):
            if column.adwin_window:
                self._adwin.seed(place, read_window(column.adwin_window))

    def update(self, signals: Signals, first_row: int) -> list[Found]:
        """Fold the rows' normal scores and ranks."""
        if not self._columns:
            return []
        scores = np.where(self._page_hinkley_allowed, signals.normal_scores, np.nan)
        ranks = np.where(self._adwin_allowed, signals.ranks, np.nan)
        return [
            *self._found(self._page_hinkley.update(scores), first_row, "page_hinkley"),
            *self._found(self._adwin.update(ranks), first_row, "adwin"),
        ]

    def _found(self, detections: Detections, first_row: int, detector: str) -> list[Found]:
        return [self._one(detections, i, first_row, detector) for i in range(len(detections))]

    def _one(self, detections: Detections, i: int, first_row: int, detector: str) -> Found:
        row, events = first_row + int(detections.row[i]), int(detections.events[i])
        onset = max(row - events + 1, 0)
        mean, column = float(detections.mean[i]), self._columns[int(detections.series[i])]
        if detector == "page_hinkley":
            statistic, value, noise, gate = "mean_normal_score", mean, 1.0 / math.sqrt(events), NORMAL_SCORE_GATE
            chance = budget.page_hinkley_chance(float(detections.statistic[i]), self._updates_per_week, VERDICT_DELTA)
        else:
            statistic, value, noise, gate = "mean_rank_shift", mean - 0.5, math.sqrt(1 / 12 / events), RANK_GATE
            chance = self._adwin_chance
        culprit = Culprit(
            feature=column.name,
            segment=ALL,
            detector=detector,
            statistic=statistic,
            value=value,
            noise_floor=noise,
            threshold=gate * column.shift_gate,
            p_value=None,
            window_rows=events,
            window_start_row=onset,
            window_end_row=row,
            onset_row=onset,
            bins=[],
        )
        return Found(row, detected=[culprit], onset_row=onset, chance_per_week=chance)

    def snapshot(self) -> tuple[bytes, bytes]:
        """Return both banks."""
        return save(self._page_hinkley), save(self._adwin)

    def restore(self, banks: tuple[bytes, ...]) -> None:
        """Become what gave the snapshot."""
        self._page_hinkley, self._adwin = load(PageHinkleyBank, banks[0]), load(AdwinBank, banks[1])


def _windows_per_week(baseline: Baseline) -> float:
    """Return the declared number of window tests in a week: every column of every cell, at the reference's rate."""
    rows = baseline.rows_per_week or float(baseline.rows)
    per_column = sum(
        rows * float(size) / max(baseline.rows, 1) / window_rows(cell)
        for cell, size in enumerate(baseline.cell_rows.tolist())
    )
    of_pairs = 0.0 if baseline.pairs is None else baseline.pairs.tests_per_week(rows, baseline.rows)
    return max(per_column * len(baseline.columns) + of_pairs, 1e-9)
