"""The cohorts of one cell: where the rows of each begin in every shard, and what their labels add up to.

A label names its prediction's served row (`served_seq`, `served_row` of its shard); as a shard's rows are served in
order, the first row of each cohort per shard is all that must be remembered to find the cohort.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec
import numpy as np
from msgspec.structs import replace

from services.detector.banks.compiled import kernel
from services.detector.performance.metrics.value import Metrics
from services.detector.performance.score_counts import ScoreCounts
from services.detector.performance.tally import Contributions, Tally
from services.detector.structs import FloatArray, IntArray

ROW_BITS = 11  # a block holds at most 2,000 rows
MAX_COHORTS = 10_000  # per cell; the oldest are dropped beyond
MAX_OPEN = 4_096  # per cell, whose scores are counted; beyond, the oldest keep the areas that they have by then

_EARLY = f"of the labels that had come when {MAX_OPEN:,} newer cohorts were open"


def served_key(seq: IntArray, row: IntArray) -> IntArray:
    """Return one sortable number per served row of a shard."""
    return (seq << ROW_BITS) | row


def served_place(key: int) -> tuple[int, int]:
    """Return the sequence number and the row that a served key is made of."""
    return key >> ROW_BITS, key & ((1 << ROW_BITS) - 1)


class CellCohorts(msgspec.Struct):
    """The cohorts of one cell. Lists and the first axis of arrays are indexed by cohort - `dropped`.

    A sum is kept as two floats, what was rounded away in the second: a label of 1e15 that is taken back again leaves
    what was there before it.
    """

    size: int
    counts: np.ndarray  # int64 [cohorts, counts]
    sums: np.ndarray  # float64 [2, cohorts, sums]
    served: np.ndarray  # int64 [cohorts, kinds of predictions], as `Tally.predicted` tells them
    rows: int = 0  # served rows so far
    dropped: int = 0
    starts: dict[int, list[int]] = {}  # shard to the served key of each kept cohort's first row
    predicted: list[int] = []
    last_ms: list[int] = []  # stream time of the last row
    scores: ScoreCounts = msgspec.field(default_factory=lambda: ScoreCounts.of(0))
    slots: list[int] = []  # of each kept cohort's scores; -1 once it is closed
    closed: int = 0  # kept cohorts that are, from the oldest on
    areas: dict[int, Metrics] = {}  # under the curves of closed cohorts, by number
    final: int = 0  # kept cohorts that get no more labels, from the oldest on

    def serve(self, shard: int, keys: IntArray, times: IntArray, predicted: IntArray, after: dict[int, int]) -> None:
        """Take served rows of this cell, with stream time after each and the code of what was predicted.

        after: for every other shard, a key that all its later rows exceed.
        """
        # A shard whose first rows of this cell are in the middle of a cohort was in none before.
        self.starts.setdefault(shard, [int(keys[0])] * len(self.predicted))
        taken = 0
        while taken < len(keys):
            if self.rows % self.size == 0:
                self._begin(shard, int(keys[taken]), after)
            n = min(len(keys) - taken, self.size - self.rows % self.size)
            self.predicted[-1] += n
            if self.served.shape[1]:
                self.served[-1] += _counted(predicted[taken : taken + n], self.served.shape[1])
            self.rows += n
            taken += n
            self.last_ms[-1] = int(times[taken - 1])

    def _begin(self, shard: int, key: int, after: dict[int, int]) -> None:
        for known in {*self.starts, *after, shard}:
            first = key if known == shard else after[known]
            self.starts.setdefault(known, [first] * len(self.predicted)).append(first)
        self.predicted.append(0)
        self.last_ms.append(0)
        self.slots.append(-1)
        dropping = len(self.predicted) > MAX_COHORTS
        if dropping:
            for numbers in (*self.starts.values(), self.predicted, self.last_ms, self.slots):
                del numbers[0]
            self.areas.pop(self.dropped, None)
            self.closed, self.final = max(self.closed - 1, 0), max(self.final - 1, 0)
            self.dropped += 1
        self.counts = np.pad(self.counts[dropping:], ((0, 1), (0, 0)))
        self.sums = np.pad(self.sums[:, dropping:], ((0, 0), (0, 1), (0, 0)))
        self.served = np.pad(self.served[dropping:], ((0, 1), (0, 0)))

    def find(self, shard: int, keys: IntArray) -> IntArray:
        """Return the position of each served row's cohort in the kept arrays; -1 where it is dropped or unknown."""
        starts = self.starts.get(shard)
        if starts is None or not len(keys):
            return np.full(len(keys), -1, np.int64)
        first = max(bisect_right(starts, int(keys.min())) - 1, 0)
        near = starts[first : bisect_right(starts, int(keys.max()), first)]
        return np.searchsorted(np.array(near, np.int64), keys, side="right") + (first - 1)

    def add(self, at: IntArray, rows: IntArray, told: Contributions, edges: FloatArray, most: int, sign: int) -> None:
        """Add (or with sign -1 take back) what some rows of a block tell, in row order; see `ScoreCounts.add`."""
        _add(self.counts, self.sums, at, rows, told.index, told.addends, sign)
        if self.scores.curves:
            self.scores.add(self._open(at), rows, told.scores, told.truths, edges, most, sign)

    def _open(self, at: IntArray) -> IntArray:
        """Return the slots of rows' cohorts; a cohort has one from its first label on, until it is closed."""
        first, stop = max(int(at.min()), self.closed), int(at.max()) + 1
        if first >= stop:
            return np.full(len(at), -1, np.int64)
        is_open = at >= first
        for place in (first + np.flatnonzero(np.bincount(at[is_open] - first))).tolist():
            if self.slots[place] < 0:
                self.slots[place] = self.scores.take()
        slots = np.array(self.slots[first:stop], np.int64)
        return np.where(is_open, slots[np.maximum(at - first, 0)], -1)

    def close(self, tally: Tally, final_before_ms: int) -> int:
        """Keep only the areas of cohorts that are final, and of the oldest where too many are open.

        Returns how many were closed before they were final.
        """
        early, newest = 0, len(self.predicted) - 1
        while self.closed < newest:
            is_final = self.last_ms[self.closed] < final_before_ms
            if not is_final and newest - self.closed < MAX_OPEN:
                break
            areas = self.areas_of(self.closed, tally)
            slot, self.slots[self.closed] = self.slots[self.closed], -1
            if not is_final:
                areas = {name: replace(area, note=_EARLY) for name, area in areas.items()}
            if slot >= 0 or not is_final:
                self.areas[self.closed + self.dropped] = areas
            if slot >= 0:
                self.scores.give_back(slot)
            early += not is_final
            self.closed += 1
        return early

    def finish(self, final_before_ms: int) -> range:
        """Return the places of full cohorts that are final now and were not."""
        first, full = self.final, len(self.predicted) - (self.rows % self.size > 0)
        while self.final < full and self.last_ms[self.final] < final_before_ms:
            self.final += 1
        return range(first, self.final)

    def areas_in(self, slot: int, tally: Tally) -> Metrics:
        """Return the areas under the curves of a slot's scores."""
        return tally.areas([self.scores.table(slot, curve) for curve in range(self.scores.curves)])

    def areas_of(self, at: int, tally: Tally) -> Metrics:
        """Return the areas under the curves of a kept cohort."""
        if at < self.closed and at + self.dropped in self.areas:
            return self.areas[at + self.dropped]
        slot = self.slots[at]
        none = np.zeros(0, np.int64)
        return tally.areas([(none, none, False)] * self.scores.curves) if slot < 0 else self.areas_in(slot, tally)

    def newest_by(self, time_ms: int) -> int:
        """Return the place of the newest full cohort that ends by a stream time; -1: none does."""
        full = len(self.predicted) - (self.rows % self.size > 0)
        return bisect_right(self.last_ms, time_ms, 0, full) - 1

    def covered(self, at: int) -> tuple[int, int]:
        """Return how many of a cohort's predictions have labels, and how many there are; 0 and 0 for place -1."""
        return (0, 0) if at < 0 else (int(self.counts[at].sum()), self.predicted[at])

    def span(self, at: int) -> tuple[int, int]:
        """Return the first and last row (of this cell, inclusive) of a full cohort."""
        start = (at + self.dropped) * self.size
        return start, start + self.predicted[at] - 1


@kernel
def _add(
    counts: IntArray,
    sums: FloatArray,
    at: IntArray,
    rows: IntArray,
    index: IntArray,
    addends: FloatArray,
    sign: int,
) -> None:
    """Add what rows tell to the cohort of each.

    Knuth's two-sum: `sums[1]` holds what adding to `sums[0]` rounded away.
    """
    for place in range(at.shape[0]):
        cohort, row = at[place], rows[place]
        if cohort < 0 or index[row] < 0:
            continue
        counts[cohort, index[row]] += sign
        for of in range(addends.shape[1]):
            total, addend = sums[0, cohort, of], sign * addends[row, of]
            if addend == 0.0:  # most are: a row is in one of the bins of the calibration error
                continue
            rounded = total + addend
            part = rounded - total
            sums[0, cohort, of] = rounded
            sums[1, cohort, of] += (total - (rounded - part)) + (addend - part)


def _counted(codes: IntArray, kinds: int) -> IntArray:
    return np.bincount(codes + 1, minlength=kinds + 1)[1:]  # -1: nothing was predicted
