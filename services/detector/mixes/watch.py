"""Windows of the shares of segments, as rows are served, and of labels, as cohorts become final."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from services.detector import budget
from services.detector.baseline import Baseline
from services.detector.intervals import intervals_of
from services.detector.mixes.closed import ClosedMix
from services.detector.mixes.reference import WINDOW_ROWS, counted, of_labels, of_segments
from services.detector.outlook.windows import windows_per_week
from services.detector.segments import Memberships
from services.detector.structs import FloatArray, IntArray
from services.detector.window_rows import Span
from services.detector.window_watch import Found

LEAST_COVERAGE = 0.5  # of a final cohort, as a share of the reference's: fewer labels are no sample
MAX_COHORTS = 4_096  # whose labels are counted until they are final; the oldest give way


class MixState(msgspec.Struct):
    """What is kept of mixes."""

    counts: list[np.ndarray]  # int64 [bins] of each dimension, in its open window
    filled: int = 0  # rows of that window
    cohorts: dict[int, np.ndarray] = {}  # number of a cohort of all traffic to its labels, int64 [bins]
    weak: list[str] = []  # whose last window passed the weaker threshold
    dropped: int = 0  # cohorts that gave way


class MixWatch:
    """The mixes of one model version; without any it does nothing."""

    def __init__(self, baseline: Baseline, false_pages_per_month: float, cohort_rows: int) -> None:
        self._segments, self._labels = of_segments(baseline.mixes), of_labels(baseline.mixes)
        self._cohort_rows = cohort_rows
        share = budget.shares(false_pages_per_month).windows
        self._windows_per_week = windows_per_week(baseline)
        self._levels = budget.window_levels(share, self._windows_per_week)
        labelled = 0 if self._labels is None else int(self._labels.counts.sum())
        self._least_coverage = LEAST_COVERAGE * labelled / max(baseline.rows, 1)
        self.why_not = {mix.name: mix.reason for mix in baseline.mixes if mix.reason}
        self.state = MixState([np.zeros(len(mix.names), np.int64) for mix in self._segments])

    def served(self, cells: Memberships, first_row: int) -> list[Found]:
        """Fold served rows, the first of which is the model's row `first_row`; the windows that they closed.

        cells: [rows, memberships], of the baseline.
        """
        found: list[Found] = []
        start, state = 0, self.state
        while self._segments and start < len(cells):
            stop = min(start + WINDOW_ROWS - state.filled, len(cells))
            for at, mix in enumerate(self._segments):
                here = cells[start:stop, mix.place].astype(np.int64) - mix.first_cell
                state.counts[at] = state.counts[at] + counted(here, len(mix.names))
            state.filled += stop - start
            if state.filled == WINDOW_ROWS:
                last = first_row + stop - 1
                for at, mix in enumerate(self._segments):
                    closed = ClosedMix.of(mix, state.counts[at], Span(last - WINDOW_ROWS + 1, last))
                    found.append(self._found(closed, last))
                    state.counts[at] = np.zeros(len(mix.names), np.int64)
                state.filled = 0
            start = stop
        return found

    def label(self, cohorts: IntArray, labels: FloatArray, sign: int = 1) -> None:
        """Count labels, or with sign -1 take them back.

        cohorts: [rows], the number of each prediction's, -1 none; labels: [rows], codes of classes or values, NaN none.
        """
        mix = self._labels
        if mix is None:
            return
        known = (cohorts >= 0) & ~np.isnan(labels)
        codes = intervals_of(labels, mix.edges) if mix.is_ordered else np.where(known, labels, -1)
        for number in np.unique(cohorts[known]).tolist():
            here = codes[known & (cohorts == number)].astype(np.int64)
            counts = self.state.cohorts.setdefault(number, np.zeros(len(mix.names), np.int64))
            counts += sign * counted(here, len(counts))
        while len(self.state.cohorts) > MAX_COHORTS:
            del self.state.cohorts[min(self.state.cohorts)]
            self.state.dropped += 1

    def finish(self, first_row: int, row: int) -> list[Found]:
        """Take that the cohort that begins with a row gets no more labels, as is known at another."""
        counts = self.state.cohorts.pop(first_row // self._cohort_rows, None)
        if counts is None or self._labels is None or int(counts.sum()) < self._least_coverage * self._cohort_rows:
            return []
        span = Span(first_row, first_row + self._cohort_rows - 1)
        return [self._found(ClosedMix.of(self._labels, np.maximum(counts, 0), span), row)]

    def _found(self, closed: ClosedMix, row: int) -> Found:
        name, chance = closed.mix.name, closed.verdict.p_value
        is_weak, was_weak = chance < self._levels.running, name in self.state.weak
        self.state.weak = sorted({*self.state.weak, name} if is_weak else {*self.state.weak} - {name})
        is_found = chance < self._levels.single or (is_weak and was_weak)
        if not (is_found and closed.passes_gate and not closed.mix.reason):
            return Found(row, [], closed.span.first, math.inf, closed)
        return Found(row, [closed.culprit()], closed.span.first, chance * self._windows_per_week, closed)
