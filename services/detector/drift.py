"""Drift of served rows: windows of every cell, and sequential detectors of numeric columns on all traffic.

All of them are worth their expected false detections per stream week, shares of one budget. What comes out, in row
order, are closed windows with their verdicts and the detections that passed the effect gate of their kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial

import msgspec
import numpy as np

from services.detector import budget
from services.detector.banks.adwin import AdwinBank
from services.detector.banks.detections import Detections
from services.detector.banks.page_hinkley import VERDICT_DELTA, PageHinkleyBank
from services.detector.banks.windows import WindowBank
from services.detector.baseline import ALL, Baseline, window_rows
from services.detector.cell_windows import CellWindows
from services.detector.coded import CodeWatch
from services.detector.day_windows import DayState, DayWindows
from services.detector.incidents.drift import Judged
from services.detector.incidents.incident import cell_key
from services.detector.judge import Judge, JudgedWindows
from services.detector.selftest import GATE_PSI
from services.detector.sequential import NORMAL_SCORE_GATE, RANK_GATE, adwin_bank, page_hinkley_bank, read_window
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.statistics.distances import psi_contributions
from services.detector.structs import IntArray
from services.detector.window_rows import Span
from shared.events.alert import Bin, Culprit


@dataclass(frozen=True, slots=True)
class Found:
    """What one row brought: a closed window, or a sequential detection, or both empty-handed."""

    row: int
    detected: list[Culprit] = field(default_factory=list)
    onset_row: int = 0
    chance_per_week: float = 1.0
    closed: Closed | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """One closed detection window."""

    judged: JudgedWindows
    place: int  # of the window among them
    span: Span


class DriftState(msgspec.Struct):
    """The state beside the banks."""

    weak: np.ndarray  # bool [columns, cells]: the last window passed the weaker threshold
    opened: np.ndarray  # int64 [cells]: served row at which the cell's open window may begin
    days: DayState


class DriftWatch:
    """All drift detectors of one model version."""

    def __init__(self, baseline: Baseline, false_pages_per_month: float) -> None:
        self._baseline = baseline
        shape = (len(baseline.columns), len(baseline.cells))
        self._is_armed = baseline.arming.reason == 0
        self._judge = Judge(baseline)
        self._windows = CellWindows.of(baseline, [window_rows(cell) for cell in range(shape[1])])
        shares = budget.shares(false_pages_per_month)
        self._windows_per_week = _windows_per_week(baseline)
        self._levels = budget.window_levels(shares.windows, self._windows_per_week)
        pace = baseline.rows_per_week or float(baseline.rows)
        self._sequential = _Sequential(baseline, shares, pace)
        self._codes = CodeWatch(baseline, shares, pace)
        self._days = DayWindows(baseline, self._judge, shares.day_windows)
        self._state = DriftState(np.zeros(shape, np.bool_), np.zeros(shape[1], np.int64), self._days.state)

    def served(self, signals: Signals, times: IntArray, first_row: int) -> list[Found]:
        """Fold served rows, the first of which is the model's row `first_row`; what they brought, in row order.

        times: stream time after each row. A day that ends is told of at its own last row, the one before the first.
        """
        windows = self._windows.update(signals)
        found = self._closed(self._judge.judge(windows), first_row) if len(windows) else []
        found += self._sequential.update(signals, first_row)
        found += [
            Found(row, [culprit], culprit.onset_row, chance)
            for row, culprit, chance in self._codes.update(signals.codes, first_row)
        ]
        found += self._slow(signals, times, first_row)
        return sorted(found, key=lambda x: x.row)  # stable: at one row, windows come before sequential detectors

    def judged(self, closed: Closed) -> list[Judged]:
        """Return what a closed window says to an open incident, column by column."""
        cell, verdicts = int(closed.judged.windows.cell[closed.place]), closed.judged.verdicts
        segment = self._baseline.cells[cell]
        effects, chances = verdicts.psi_debiased[closed.place].tolist(), verdicts.p_value[closed.place].tolist()
        return [
            Judged(
                name=cell_key(column.name, segment),
                p_value=chances[at],
                culprit=partial(self._culprit, closed, at),
                is_armed=bool(self._is_armed[at, cell]),
                passes_gate=effects[at] >= GATE_PSI,
                is_calm=effects[at] < GATE_PSI / 2,
            )
            for at, column in enumerate(self._baseline.columns)
        ]

    def _closed(self, judged: JudgedWindows, first_row: int) -> list[Found]:
        found: list[Found] = []
        chances, effects = judged.verdicts.p_value, judged.verdicts.psi_debiased
        is_weak = chances < self._levels.running
        is_strong = (effects >= GATE_PSI) & self._is_armed[:, judged.windows.cell].T
        for place, (row, cell) in enumerate(
            zip(judged.windows.row.tolist(), judged.windows.cell.tolist(), strict=True)
        ):
            closed = Closed(judged, place, Span(int(self._state.opened[cell]), first_row + row))
            self._state.opened[cell] = first_row + row + 1
            is_found = (chances[place] < self._levels.single) | (is_weak[place] & self._state.weak[:, cell])
            self._state.weak[:, cell] = is_weak[place]
            detected = np.flatnonzero(is_strong[place] & is_found)
            chance = math.inf if detected.size == 0 else float(chances[place, detected].min()) * self._windows_per_week
            culprits = [self._culprit(closed, at) for at in detected.tolist()]
            found.append(Found(first_row + row, culprits, closed.span.first, chance, closed))
        return found

    def _slow(self, signals: Signals, times: IntArray, first_row: int) -> list[Found]:
        found: list[Found] = []
        for judged, detected in self._days.update(signals.codes, signals.cells, times, first_row):
            if detected:
                row, since = detected[0].row, min(day.since for day in detected)
                culprits = [
                    self._culprit(
                        Closed(judged, day.place, Span(day.since, row)), day.column, "psi_days", day.threshold
                    )
                    for day in detected
                ]
                found.append(Found(row, culprits, since, min(day.chance_per_week for day in detected)))
        return found

    def _culprit(self, closed: Closed, at: int, detector: str = "psi", threshold: float = GATE_PSI) -> Culprit:
        windows, verdicts, place, span = closed.judged.windows, closed.judged.verdicts, closed.place, closed.span
        spec, cell = self._baseline.columns[at], int(windows.cell[place])
        counts, reference = windows.counts_of(at)[place], spec.counts[cell]
        parts = psi_contributions(counts, reference) if counts.sum() and reference.sum() else np.zeros(len(counts))
        return Culprit(
            feature=spec.name,
            segment=self._baseline.cells[cell],
            detector=detector,
            statistic="psi_debiased",
            value=float(verdicts.psi_debiased[place, at]),
            noise_floor=float(verdicts.noise_floor[place, at]),
            threshold=threshold,
            p_value=float(verdicts.p_value[place, at]),
            window_rows=int(windows.end_row[place] - windows.start_row[place]) + 1,
            window_start_row=span.first,
            window_end_row=span.last,
            onset_row=span.first,
            bins=[
                Bin(name=name, count=int(count), reference_count=int(before), contribution=float(part))
                for name, count, before, part in zip(spec.bin_names(), counts, reference, parts, strict=True)
            ],
        )

    def snapshot(self) -> tuple[bytes, ...]:
        """Return the state of the banks."""
        return (save(self._windows), save(self._days.bank), *self._codes.snapshot(), *self._sequential.snapshot())

    def restore(self, state: DriftState, banks: tuple[bytes, ...]) -> None:
        """Become what gave the snapshot."""
        self._state, self._days.state = state, state.days
        windows, days, *rest = banks
        self._windows, self._days.bank = load(CellWindows, windows), load(WindowBank, days)
        self._codes.restore((rest[0], rest[1]))
        self._sequential.restore((rest[2], rest[3]))

    @property
    def state(self) -> DriftState:
        """Return the state beside the banks."""
        return self._state


class _Sequential:
    """Page-Hinkley on normal scores and ADWIN on ranks, for the columns whose self-test allows them."""

    def __init__(self, baseline: Baseline, shares: budget.Shares, rows_per_week: float) -> None:
        watched = baseline.sequential
        self._columns = [baseline.columns[s.column].name for s in watched]
        self._page_hinkley_allowed = np.array([not s.page_hinkley for s in watched], np.bool_)
        self._adwin_allowed = np.array([not s.adwin for s in watched], np.bool_)
        self._updates_per_week = max(rows_per_week * len(watched), 1.0)
        self._adwin_chance = shares.adwin
        means = np.array([baseline.columns[s.column].normal_mean for s in watched], np.float64)
        self._page_hinkley = page_hinkley_bank(means, shares.page_hinkley, rows_per_week)
        self._adwin = adwin_bank(len(watched), shares.adwin, rows_per_week)
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
        mean = float(detections.mean[i])
        if detector == "page_hinkley":
            statistic, value, noise, gate = "mean_normal_score", mean, 1.0 / math.sqrt(events), NORMAL_SCORE_GATE
            chance = budget.page_hinkley_chance(float(detections.statistic[i]), self._updates_per_week, VERDICT_DELTA)
        else:
            statistic, value, noise, gate = "mean_rank_shift", mean - 0.5, math.sqrt(1 / 12 / events), RANK_GATE
            chance = self._adwin_chance
        culprit = Culprit(
            feature=self._columns[int(detections.series[i])],
            segment=ALL,
            detector=detector,
            statistic=statistic,
            value=value,
            noise_floor=noise,
            threshold=gate,
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
    return max(per_column * len(baseline.columns), 1e-9)
