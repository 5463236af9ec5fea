"""How often each score came with which class: what areas under curves are made of, cohort by cohort.

A table holds the distinct scores of a cohort and is exact while they are few. When one more would not fit it becomes
counts in fixed bins, the same for every cohort, so that rows can still be taken back and the order of rows leaves no
trace. Scores are put down as they come, and in order when there is no more room or when somebody looks: to keep them in
order all the time takes ten times as long.
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
_ROOM = 64  # a table that may not grow and has less room than this is kept in order: to order it often is dearer
_SPARE_SLOTS = 8  # one more for every so many there are, so that to make room for them takes no time to speak of
_SMALL = int(np.iinfo(np.int16).max)  # rows of a cohort that small counts can hold


class ScoreCounts(msgspec.Struct):
    """The tables of one cell: one a curve and open cohort. The first axis is a slot, that cohorts take and give back.

    The score of an entry is that of its rows, or of a table in bins the number of the bin.
    """

    curves: int
    values: np.ndarray  # float64 [slots, curves, width], rising as far as `used`
    counts: np.ndarray  # int16 or int32 [slots, curves, width, 2]: negatives, positives
    used: np.ndarray  # int32 [slots, curves], entries in order; -1: bins
    put_down: np.ndarray  # int32 [slots, curves], entries behind those, one a row, in the order of rows
    free: list[int] = []
    width: int = 0  # of the tables, where only the entries that are used are listed one after another; see `packed`

    @classmethod
    def of(cls, curves: int, rows: int = _SMALL) -> Self:
        """Return no tables yet, for cohorts of so many rows."""
        values, used = np.zeros((0, curves, _FIRST_WIDTH)), np.zeros((0, curves), np.int32)
        counts = np.zeros((*values.shape, 2), np.int16 if rows <= _SMALL else np.int32)
        return cls(curves, values, counts, used, used.copy())

    def take(self) -> int:
        """Return a slot with empty tables."""
        if not self.free:
            slots = len(self.used)
            more = 1 + slots // _SPARE_SLOTS
            self.values, self.counts = _lengthened(self.values, more), _lengthened(self.counts, more)
            self.used, self.put_down = _lengthened(self.used, more), _lengthened(self.put_down, more)
            self.free = list(reversed(range(slots, slots + more)))
        return self.free.pop()

    def give_back(self, slot: int) -> None:
        """Empty a slot's tables for another cohort."""
        self.values[slot], self.counts[slot], self.used[slot], self.put_down[slot] = 0.0, 0, 0, 0
        self.free.append(slot)

    def add(
        self,
        slots: IntArray,
        rows: IntArray,
        scores: FloatArray,
        truths: FloatArray,
        edges: FloatArray,
        most: int,
        sign: int,
    ) -> None:
        """Count rows (or with sign -1 take them back), in their order.

        slots: one for each of `rows`, -1 none; scores: [all rows, curves], NaN missing; truths: [all rows, curves], 1
        positive, 0 negative; edges: [curves, bins - 1], rising; most: entries that a table may have, no fewer than
        there are bins.
        """
        at, scores, truths = 0, dense(scores, np.float64), dense(truths, np.float64)
        while True:
            tables = self.values, self.counts, self.used, self.put_down
            at = _add(*tables, slots, rows, scores, truths, edges, most, sign, at)
            if at == len(slots):
                return
            self._widen(most)

    def _widen(self, most: int) -> None:
        """Make room for twice the entries: a table is full that may still grow."""
        width = self.values.shape[2]
        more = min(width, max(most - width, 1))
        self.values = np.pad(self.values, ((0, 0), (0, 0), (0, more)))
        self.counts = np.pad(self.counts, ((0, 0), (0, 0), (0, more), (0, 0)))

    def packed(self) -> ScoreCounts:
        """Return what a checkpoint holds: the entries that are used. When they were put in order leaves no trace."""
        _settle(self.values, self.counts, self.used, self.put_down)
        held, width = self._held(), _FIRST_WIDTH
        counts, values = self.counts[held], self.values[held & (self.used >= 0)[..., np.newaxis]]
        while width < self.used.max(initial=0):
            width *= 2
        width = self.values.shape[2] if (self.used < 0).any() else min(width, self.values.shape[2])
        return ScoreCounts(self.curves, values, counts, self.used, self.put_down, self.free, width=width)

    def unpacked(self) -> ScoreCounts:
        """Return the tables again of which this is the packed form."""
        shape = (*self.used.shape, self.width)
        counts = np.zeros((*shape, 2), self.counts.dtype)
        found = ScoreCounts(self.curves, np.zeros(shape), counts, self.used, self.put_down, self.free)
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
        of_slot = slice(slot, slot + 1)
        _settle(self.values[of_slot], self.counts[of_slot], self.used[of_slot], self.put_down[of_slot])
        used = int(self.used[slot, curve])
        entries = self.counts[slot, curve] if used < 0 else self.counts[slot, curve, :used]
        kept = entries[entries.sum(axis=1) > 0].astype(np.int64)
        return kept[:, 0], kept[:, 1], used < 0

    def binned(self, slot: int, curve: int, edges: FloatArray) -> IntArray:
        """Return a table's negatives and positives in the bins between `edges`, shape (bins, 2)."""
        of_slot = slice(slot, slot + 1)
        _settle(self.values[of_slot], self.counts[of_slot], self.used[of_slot], self.put_down[of_slot])
        used, bins = int(self.used[slot, curve]), len(edges) + 1
        if used < 0:
            return self.counts[slot, curve, :bins].astype(np.int64)
        found = np.zeros((bins, 2), np.int64)
        np.add.at(found, np.searchsorted(edges, self.values[slot, curve, :used]), self.counts[slot, curve, :used])
        return found


def _lengthened(array: np.ndarray, more: int) -> np.ndarray:
    return np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)])


@kernel
def _add(
    values: FloatArray,
    counts: IntArray,
    used: IntArray,
    put_down: IntArray,
    slots: IntArray,
    rows: IntArray,
    scores: FloatArray,
    truths: FloatArray,
    edges: FloatArray,
    most: int,
    sign: int,
    at: int,
) -> int:
    """Count rows from `at` on; returns the place at which tables must be widened first, or how many rows there are."""
    width, curves = values.shape[2], values.shape[1]
    while at < slots.shape[0]:
        slot, row = slots[at], rows[at]
        if slot >= 0:
            for curve in range(curves):
                if used[slot, curve] + put_down[slot, curve] == width:
                    _put_in_order(values, counts, used, put_down, slot, curve)
                    if width < most and 4 * used[slot, curve] > 3 * width:
                        return at
            for curve in range(curves):
                score, truth, held = scores[row, curve] + 0.0, truths[row, curve], used[slot, curve]
                if math.isnan(score) or math.isnan(truth):
                    continue
                side = 1 if truth == 1.0 else 0
                if held >= 0 and sign > 0 and (width < most or most - held > _ROOM):
                    place = held + put_down[slot, curve]
                    values[slot, curve, place] = score
                    counts[slot, curve, place, side] = 1
                    put_down[slot, curve] += 1
                else:
                    _put_in_order(values, counts, used, put_down, slot, curve)
                    _count(values, counts, used, slot, curve, score, side, edges, sign)
        at += 1
    return at


@kernel
def _settle(values: FloatArray, counts: IntArray, used: IntArray, put_down: IntArray) -> None:
    """Put every table in order."""
    for slot in range(used.shape[0]):
        for curve in range(used.shape[1]):
            _put_in_order(values, counts, used, put_down, slot, curve)


@kernel
def _put_in_order(
    values: FloatArray, counts: IntArray, used: IntArray, put_down: IntArray, slot: int, curve: int
) -> None:
    """Merge what was put down with the entries in order; equal scores become one entry, one without rows none."""
    held, more = used[slot, curve], put_down[slot, curve]
    if more == 0:
        return
    table, of_table = values[slot, curve], counts[slot, curve]
    order = held + np.argsort(table[held : held + more])
    scores, sides = np.empty(held + more), np.zeros((held + more, 2), of_table.dtype)
    left, right, size = 0, 0, 0
    while left < held or right < more:
        if right == more or (left < held and table[left] <= table[order[right]]):
            source = left
            left += 1
        else:
            source = order[right]
            right += 1
        if size == 0 or scores[size - 1] != table[source]:
            scores[size] = table[source]
            size += 1
        sides[size - 1, 0] += of_table[source, 0]
        sides[size - 1, 1] += of_table[source, 1]
    kept = 0
    for entry in range(size):
        if sides[entry, 0] != 0 or sides[entry, 1] != 0:
            table[kept] = scores[entry]
            of_table[kept, 0], of_table[kept, 1] = sides[entry, 0], sides[entry, 1]
            kept += 1
    table[kept : held + more] = 0.0
    of_table[kept : held + more] = 0
    used[slot, curve], put_down[slot, curve] = kept, 0


@kernel
def _count(
    values: FloatArray,
    counts: IntArray,
    used: IntArray,
    slot: int,
    curve: int,
    score: float,
    side: int,
    edges: FloatArray,
    sign: int,
) -> None:
    """Count one row in a table that is in order or in bins."""
    table, of_table, held = values[slot, curve], counts[slot, curve], used[slot, curve]
    place = np.searchsorted(edges[curve] if held < 0 else table[:held], score)
    if held >= 0 and (place == held or table[place] != score):
        if held == table.shape[0]:
            _bin(table, of_table, edges[curve])
            used[slot, curve] = held = -1
            place = np.searchsorted(edges[curve], score)
        else:
            # Number by number: to copy slices takes several times as long.
            for at in range(held, place, -1):
                table[at] = table[at - 1]
                of_table[at, 0], of_table[at, 1] = of_table[at - 1, 0], of_table[at - 1, 1]
            table[place] = score
            of_table[place, 0] = of_table[place, 1] = 0
            used[slot, curve] = held = held + 1
    of_table[place, side] += sign
    if held >= 0 and of_table[place, 0] == 0 and of_table[place, 1] == 0:
        for at in range(place, held - 1):
            table[at] = table[at + 1]
            of_table[at, 0], of_table[at, 1] = of_table[at + 1, 0], of_table[at + 1, 1]
        table[held - 1] = 0.0
        of_table[held - 1, 0] = of_table[held - 1, 1] = 0
        used[slot, curve] = held - 1


@kernel
def _bin(table: FloatArray, of_table: IntArray, edges: FloatArray) -> None:
    """Turn a full table's entries into counts in bins."""
    binned = np.zeros_like(of_table)
    for at in range(table.shape[0]):
        into = np.searchsorted(edges, table[at])
        binned[into, 0] += of_table[at, 0]
        binned[into, 1] += of_table[at, 1]
    of_table[:] = binned
    table[:] = 0.0
