"""How often each score came with which class: what areas under curves are made of, cohort by cohort.

A table holds the distinct scores of a cohort and is exact while they are few. When one more would not fit it becomes
counts in fixed bins, the same for every cohort, so that rows can still be taken back and the order of rows leaves no
trace.
"""

from __future__ import annotations

import math
from typing import Self

import msgspec
import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray

EXACT = 512  # distinct scores that a table tells apart; beyond, as many bins
_FIRST_WIDTH = 16


class ScoreCounts(msgspec.Struct):
    """The tables of one cell: one a curve and open cohort. The first axis is a slot, that cohorts take and give back.

    The score of an entry is that of its rows, or of a table in bins the number of the bin.
    """

    curves: int
    values: np.ndarray  # float64 [slots, curves, width], rising
    counts: np.ndarray  # int32 [slots, curves, width, 2]: negatives, positives
    used: np.ndarray  # int32 [slots, curves]; -1: bins
    free: list[int] = []
    width: int = 0  # of the tables, where only the entries that are used are listed one after another; see `packed`

    @classmethod
    def of(cls, curves: int) -> Self:
        """Return no tables yet."""
        values = np.zeros((0, curves, _FIRST_WIDTH))
        return cls(curves, values, np.zeros((*values.shape, 2), np.int32), np.zeros((0, curves), np.int32))

    def take(self) -> int:
        """Return a slot with empty tables."""
        if self.free:
            return self.free.pop()
        slots = ((0, 1), (0, 0))
        self.values = np.pad(self.values, (*slots, (0, 0)))
        self.counts = np.pad(self.counts, (*slots, (0, 0), (0, 0)))
        self.used = np.pad(self.used, slots)
        return len(self.used) - 1

    def give_back(self, slot: int) -> None:
        """Empty a slot's tables for another cohort."""
        self.values[slot], self.counts[slot], self.used[slot] = 0.0, 0, 0
        self.free.append(slot)

    def add(
        self, slots: IntArray, scores: FloatArray, truths: FloatArray, edges: FloatArray, most: int, sign: int
    ) -> None:
        """Count rows (or with sign -1 take them back), in row order.

        slots: [rows], -1 none; scores: [rows, curves], NaN missing; truths: [rows, curves], 1 positive, 0 negative;
        edges: [curves, bins - 1], rising; most: entries that a table may have, no fewer than there are bins.
        """
        row, scores, truths = 0, dense(scores, np.float64), dense(truths, np.float64)
        while True:
            row = _add(self.values, self.counts, self.used, slots, scores, truths, edges, most, sign, row)
            if row == len(slots):
                return
            self._widen(most)

    def _widen(self, most: int) -> None:
        """Make room for twice the entries: a table is full that may still grow."""
        width = self.values.shape[2]
        more = min(width, max(most - width, 1))
        self.values = np.pad(self.values, ((0, 0), (0, 0), (0, more)))
        self.counts = np.pad(self.counts, ((0, 0), (0, 0), (0, more), (0, 0)))

    def packed(self) -> ScoreCounts:
        """Return what a checkpoint holds: the entries that are used, in as few bytes as their counts need."""
        held = self._held()
        counts = self.counts[held]
        narrow = counts.astype(np.uint16) if counts.max(initial=0) <= np.iinfo(np.uint16).max else counts
        values = self.values[held & (self.used >= 0)[..., np.newaxis]]
        return ScoreCounts(self.curves, values, narrow, self.used, self.free, width=self.values.shape[2])

    def unpacked(self) -> ScoreCounts:
        """Return the tables again of which this is the packed form."""
        shape = (*self.used.shape, self.width)
        found = ScoreCounts(self.curves, np.zeros(shape), np.zeros((*shape, 2), np.int32), self.used, self.free)
        held = found._held()
        found.counts[held] = self.counts
        found.values[held & (self.used >= 0)[..., np.newaxis]] = self.values
        return found

    def _held(self) -> BoolArray:
        """Return which entries are used, shape (slots, curves, width); of tables in bins every one."""
        width = self.values.shape[2]
        found: BoolArray = np.arange(width) < np.where(self.used < 0, width, self.used)[..., np.newaxis]
        return found

    def table(self, slot: int, curve: int) -> tuple[IntArray, IntArray, bool]:
        """Return a table's negatives and positives by rising score, and whether scores share entries."""
        used = int(self.used[slot, curve])
        entries = self.counts[slot, curve] if used < 0 else self.counts[slot, curve, :used]
        kept = entries[entries.sum(axis=1) > 0].astype(np.int64)
        return kept[:, 0], kept[:, 1], used < 0


@kernel
def _add(
    values: FloatArray,
    counts: IntArray,
    used: IntArray,
    slots: IntArray,
    scores: FloatArray,
    truths: FloatArray,
    edges: FloatArray,
    most: int,
    sign: int,
    row: int,
) -> int:
    """Count rows from `row` on; returns the row at which tables must be widened first, or how many rows there are."""
    width, curves = values.shape[2], values.shape[1]
    while row < slots.shape[0]:
        slot = slots[row]
        if slot >= 0:
            for curve in range(curves):
                if used[slot, curve] == width and width < most:
                    return row
            for curve in range(curves):
                score, truth = scores[row, curve], truths[row, curve]
                if not math.isnan(score) and not math.isnan(truth):
                    table, held = values[slot, curve], counts[slot, curve]
                    used[slot, curve], place = _place(table, held, used[slot, curve], score, edges[curve])
                    held[place, 1 if truth == 1.0 else 0] += sign
                    if used[slot, curve] >= 0 and held[place, 0] == 0 and held[place, 1] == 0:
                        used[slot, curve] = _close_gap(table, held, used[slot, curve], place)
        row += 1
    return row


@kernel
def _place(table: FloatArray, held: IntArray, used: int, score: float, edges: FloatArray) -> tuple[int, np.int64]:
    """Return how many entries a table has when it has one of a score (-1: it is in bins now), and where that is."""
    if used < 0:
        return -1, np.searchsorted(edges, score)
    place = np.searchsorted(table[:used], score)
    if place < used and table[place] == score:
        return used, place
    if used == table.shape[0]:
        binned = np.zeros_like(held)
        for at in range(used):
            into = np.searchsorted(edges, table[at])
            binned[into, 0] += held[at, 0]
            binned[into, 1] += held[at, 1]
        held[:] = binned
        table[:] = 0.0
        return -1, np.searchsorted(edges, score)
    for at in range(used, place, -1):
        table[at] = table[at - 1]
        held[at] = held[at - 1]
    table[place] = score
    held[place] = 0
    return used + 1, place


@kernel
def _close_gap(table: FloatArray, held: IntArray, used: int, place: int | np.int64) -> int:
    """Take an entry without rows out, and return how many are left."""
    for at in range(place, used - 1):
        table[at] = table[at + 1]
        held[at] = held[at + 1]
    table[used - 1] = 0.0
    held[used - 1] = 0
    return used - 1
