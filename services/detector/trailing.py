"""The trailing reference: what a cell was like in the whole days before a window, under the bins of the baseline.

It tells what is new from what is always so at this time of the year. A drift that is slow is in it before it is large,
so it never takes the baseline's place: whole days and the fast detectors go on comparing with that.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from services.detector.banks.closed_windows import ClosedWindows
from services.detector.banks.compiled import dense
from services.detector.baseline import Baseline, Trailing, window_rows
from services.detector.figures import Ring
from services.detector.judge import JudgedWindows
from services.detector.selftest import REFERENCE_WINDOWS
from services.detector.statistics.arrays import BoolArray
from services.detector.statistics.verdict import chosen, pooling_orders, verdicts_of
from services.detector.statistics.window_kernel import WIDTH, statistics
from services.detector.structs import FloatArray, IntArray
from shared.durations import UNITS_MS


class TrailingState(msgspec.Struct):
    """The whole days that are kept."""

    first: int | None = None  # since 1970: the first day that was seen from its beginning
    counts: dict[int, np.ndarray] = {}  # day to int32 [cells, codes of all columns side by side]


class TrailingWatch:
    """The days of one model version, and what windows say against them."""

    def __init__(self, baseline: Baseline, choice: Trailing) -> None:
        self._choice = choice
        self._columns = baseline.columns
        self._starts = np.cumsum([0, *(column.bins for column in baseline.columns)])
        self._shape = (len(baseline.cells), int(self._starts[-1]))
        self._needed = np.array([REFERENCE_WINDOWS * window_rows(cell) for cell in range(self._shape[0])])
        self._is_armed = choice.arming.reason == 0
        self.state = TrailingState()

    def begun(self, day: int) -> None:
        """Take that stream time entered a day whose beginning was seen."""
        if self.state.first is None:
            self.state.first = day

    def ended(self, day: int, windows: ClosedWindows) -> None:
        """Take the cells' windows of a day that is over; one that was not seen to begin is left out."""
        if self.state.first is None or day < self.state.first:
            return
        counts = np.zeros(self._shape, np.int32)
        counts[windows.cell] = windows.counts
        self.state.counts[day] = counts

    def forget(self, time: int) -> None:
        """Drop the days that no window from `time` on is compared with."""
        oldest = time // UNITS_MS["d"] - self._choice.of.span
        self.state.counts = {day: counts for day, counts in self.state.counts.items() if day >= oldest}

    @property
    def ring(self) -> Ring:
        """Return how many days are kept; today's is not."""
        return Ring(len(self.state.counts), self._choice.of.span, 0)

    def judge(self, judged: JudgedWindows, times: IntArray) -> JudgedWindows:
        """Return the windows with verdicts against the days before them, where enough of these are known.

        times: stream time of each window's last row. Distances stay those from the baseline.
        """
        days, place = np.unique(times // UNITS_MS["d"], return_inverse=True)
        first, of = self.state.first, self._choice.of
        if first is None or days.size == 0 or int(days[-1]) - of.span < first:
            return judged
        references = np.stack([self._before(day) for day in days.tolist()])  # [days, cells, codes]
        cells = judged.windows.cell
        is_trailing = np.zeros((len(cells), len(self._columns)), np.bool_)
        found = np.empty((len(cells), len(self._columns), WIDTH))
        mixed: dict[tuple[int, int], FloatArray] = {}
        for at, column in enumerate(self._columns):
            before = references[place, cells, self._starts[at] : self._starts[at + 1]]
            is_trailing[:, at] = before.sum(axis=1) >= self._needed[cells]
            orders = pooling_orders(before, ordered=column.is_numeric)
            one, counts = np.empty((len(cells), WIDTH)), dense(judged.windows.counts_of(at), np.float64)
            statistics(counts, np.arange(len(cells)), dense(before, np.float64), orders, one)
            found[:, at] = one
            mixed |= {(window, at): before[window] for window in np.flatnonzero(is_trailing[:, at]).tolist()}
        verdicts = verdicts_of(found, self._choice.arming.phi[:, cells].T)
        return replace(
            judged,
            verdicts=chosen(is_trailing, verdicts, judged.verdicts),
            references=mixed,
            is_trailing=is_trailing,
        )

    def armed(self, judged: JudgedWindows, is_armed: BoolArray) -> BoolArray:
        """Return which windows may page, [windows, columns], where against the baseline `is_armed` ones may."""
        if judged.is_trailing is None:
            return is_armed
        return np.where(judged.is_trailing, self._is_armed[:, judged.windows.cell].T, is_armed)

    def _before(self, day: int) -> FloatArray:
        """Return what the windows of a day are compared with, [cells, codes]; nothing where a day is not known yet."""
        of, total = self._choice.of, np.zeros(self._shape)
        if self.state.first is not None and day - of.span >= self.state.first:
            for each in range(day - of.span, day - of.lag):
                if each in self.state.counts:
                    total += self.state.counts[each]
        return total
