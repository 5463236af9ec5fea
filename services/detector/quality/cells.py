"""Windows of segments, those included that the log brings: an exact binomial test of the rows that are amiss.

They are compared with the largest share of the cell's own windows in the reference. A cell that the log brings is
compared with all traffic's shares; what may well be another in it, as how often a value is missing, is learned from its
first windows. What a drift brings as well has to be there in two windows in a row, so that the drift is told of before.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from scipy.special import bdtrc

from services.detector import budget
from services.detector.baseline import WINDOW_SEGMENT, Baseline, window_rows
from services.detector.quality.build import ALMOST_ALL, OF_ALL_TRAFFIC
from services.detector.quality.counts import CellCounts, ClosedCounts
from services.detector.quality.flags import AWAITED, Flags
from services.detector.quality.found import Amiss, Looked, Named
from services.detector.quality.reference import AFTER_DRIFT, MIN_ROWS_AMISS, Statistic, gates_of
from services.detector.segments import Memberships
from services.detector.selftest import REFERENCE_WINDOWS
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray
from shared.monitors import ModelSpec

LEARNED = (Statistic.MISSING, Statistic.NEW_CATEGORY, Statistic.OUTLIER, Statistic.DUPLICATE)


class CellsState(msgspec.Struct):
    """The open windows of every cell, and what is known of those that the log brought."""

    counts: CellCounts
    early: CellCounts  # of the one check that tells of a row when `AWAITED` more have come
    waiting: np.ndarray  # int32 [AWAITED, memberships] cells of the rows that it has yet to tell of, oldest first
    before: np.ndarray  # bool [checks that a drift brings as well, cells]: the last window was amiss
    names: list[str]  # of the new cells, by number after the baseline's; empty where one is free
    peaks: np.ndarray  # float64 [checks, new cells] the largest share of the windows that they have learned from
    lessons: np.ndarray  # int64 [new cells] how many these are, or one more where the lesson is over


class CellWatch:
    """The windows of one model version's cells."""

    def __init__(self, baseline: Baseline, spec: ModelSpec) -> None:
        checks, cells = baseline.quality.checks, len(baseline.cells)
        self._checks, self._cells = checks, baseline.cells
        self._may_page = np.array([not check.reason for check in checks], np.bool_)
        self._is_late = np.array([check.statistic in AFTER_DRIFT for check in checks], np.bool_)
        self._is_learned = np.array([check.statistic in LEARNED for check in checks], np.bool_)
        is_early = np.array([check.statistic is Statistic.EARLY for check in checks], np.bool_)
        self._early, self._others = np.flatnonzero(is_early), np.flatnonzero(~is_early)
        share = budget.shares(spec.alerts.false_pages_per_month).data_quality
        pace = baseline.rows_per_week or float(baseline.rows)
        windows = pace * float(baseline.cell_rows[1:].sum()) / max(baseline.rows, 1) / WINDOW_SEGMENT
        self._tests = max(windows * int(self._may_page.sum()), 1e-9)
        self._level = min((1.0 - OF_ALL_TRAFFIC) * share / self._tests, 1e-3)
        self._of_all = np.array([check.p0 for check in checks], np.float64)
        self._p0, self._gates = baseline.quality.p0, gates_of(baseline.quality.p0)
        sizes = np.array([window_rows(cell) for cell in range(cells)], np.int64)
        self.state = CellsState(
            counts=CellCounts.of(sizes, len(checks)),
            early=CellCounts.of(sizes, len(self._early)),
            waiting=np.full((AWAITED, 1 + 2 * len(baseline.segmentations)), -1, np.int32),
            before=np.zeros((int(self._is_late.sum()), cells), np.bool_),
            names=[],
            peaks=np.zeros((len(checks), 0)),
            lessons=np.zeros(0, np.int64),
        )

    def name(self, cell: int) -> str:
        """Return the name of a cell."""
        new = cell - len(self._cells)
        return self._cells[cell] if new < 0 else self.state.names[new]

    def begin(self, cell: int, name: str) -> None:
        """Take that the log brings a cell."""
        new, state = cell - len(self._cells), self.state
        more = new + 1 - len(state.names)
        if more > 0:
            state.names += [""] * more
            state.peaks = np.pad(state.peaks, ((0, 0), (0, more)))
            state.lessons = np.pad(state.lessons, (0, more))
            state.before = np.pad(state.before, ((0, 0), (0, more)))
            state.counts.grow([WINDOW_SEGMENT] * more)
            state.early.grow([WINDOW_SEGMENT] * more)
        state.names[new] = name

    def end(self, cell: int) -> None:
        """Forget a cell that the log brought."""
        new, state = cell - len(self._cells), self.state
        state.counts.clear(cell)
        state.early.clear(cell)
        state.waiting[state.waiting == cell] = -1
        state.before[:, cell], state.peaks[:, new], state.lessons[new], state.names[new] = False, 0.0, 0, ""

    def take(self, flags: Flags, cells: Memberships, first_row: int) -> Iterator[Amiss | Looked]:
        """Count flags [checks, rows] of rows in their cells; what the windows show that they close."""
        early, state = flags[self._early], self.state
        flags[self._early] = 0
        for closed in state.counts.take(flags, cells, first_row):
            if closed.cell >= len(self._cells):
                self._learn(closed.cell, closed.amiss / np.maximum(closed.known, 1))
            yield from self._judged(closed, closed.span.last, self._others)
        whole = np.full((len(cells), state.waiting.shape[1]), -1, np.int32)
        whole[:, : cells.shape[1]] = cells
        waiting = np.concatenate([state.waiting, whole])
        state.waiting = waiting[-AWAITED:].copy()
        for closed in state.early.take(early, waiting[: len(cells)], first_row - AWAITED):
            amiss, known = np.zeros((2, len(self._checks)), np.int64)
            amiss[self._early], known[self._early] = closed.amiss, closed.known
            whole_window = closed._replace(amiss=amiss, known=known)
            yield from self._judged(whole_window, closed.span.last + AWAITED, self._early)

    def _usual(self, cell: int) -> tuple[FloatArray, FloatArray]:
        """Return the largest shares of a cell that count as none the worse, [checks], and their gates."""
        new = cell - len(self._cells)
        if new < 0:
            return self._p0[:, cell], self._gates[:, cell]
        peaks = np.where(self._is_learned, self.state.peaks[:, new], 0.0)
        usual: FloatArray = np.minimum(np.maximum(self._of_all, peaks), ALMOST_ALL)
        return usual, gates_of(usual)

    def _learn(self, cell: int, shares: FloatArray) -> None:
        new, state = cell - len(self._cells), self.state
        if state.lessons[new] < REFERENCE_WINDOWS:
            state.peaks[:, new] = np.maximum(state.peaks[:, new], shares)
        state.lessons[new] = min(state.lessons[new] + 1, REFERENCE_WINDOWS + 1)

    def _judged(self, closed: ClosedCounts, row: int, checks: IntArray) -> Iterator[Amiss | Looked]:
        """Yield what a window shows of some checks: of a segment, what broke in it; and of every cell, the window."""
        cell, amiss, known = closed.cell, closed.amiss, closed.known
        p0, gates = self._usual(cell)
        if cell != 0:
            is_amiss = amiss >= MIN_ROWS_AMISS  # hardly ever any
            if is_amiss.any():
                is_amiss &= (amiss >= gates * known) & self._may_page
            for at in np.flatnonzero(self._due(cell, checks, is_amiss)).tolist():
                check, count, rows = self._checks[at], int(amiss[at]), int(known[at])
                chance = float(bdtrc(count - 1, rows, p0[at]))
                if chance < self._level:
                    named = Named(check.feature, self.name(cell), check.statistic)
                    culprit = named.culprit(count, rows, float(gates[at]), closed.span)
                    yield Amiss(row, culprit, chance * self._tests)
        yield Looked(row, cell, checks, amiss, known, p0, gates)

    def _due(self, cell: int, checks: IntArray, is_amiss: BoolArray) -> BoolArray:
        """Return of which checks a window tells that it is amiss; take it as the one before the next."""
        if checks is self._others:
            before, self.state.before[:, cell] = self.state.before[:, cell].copy(), is_amiss[self._is_late]
            is_amiss[self._is_late] &= before
        new = cell - len(self._cells)
        if new >= 0 and self.state.lessons[new] <= REFERENCE_WINDOWS:
            is_amiss &= ~self._is_learned
        return is_amiss
