"""Cohorts: labels are counted where their prediction was served, however late they come.

Served rows of each cell (all traffic, or one segment) are cut into cohorts of a fixed size, in fold order. A label
names its prediction's served row (`served_seq`, `served_row` of its shard); as a shard's rows are served in order, the
first row of each cohort per shard is all that must be remembered to find the cohort.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from services.detector.performance.tally import Tally
from services.detector.report import CohortRow
from services.detector.structs import FloatArray, IntArray

ROW_BITS = 11  # a block holds at most 2,000 rows
MAX_COHORTS = 10_000  # per cell; the oldest are dropped beyond


def served_key(seq: IntArray, row: IntArray) -> IntArray:
    """Return one sortable number per served row of a shard."""
    return (seq << ROW_BITS) | row


class CellCohorts(msgspec.Struct):
    """The cohorts of one cell. Arrays are indexed by cohort - `dropped`."""

    size: int
    rows: int = 0  # served rows so far
    dropped: int = 0
    starts: dict[int, list[int]] = {}  # shard to the served key of each kept cohort's first row
    predicted: list[int] = []
    first_ts: list[int] = []
    last_ts: list[int] = []
    counts: list[np.ndarray] = []
    sums: list[np.ndarray] = []

    def serve(self, shard: int, keys: IntArray, ts: IntArray, after: dict[int, int], tally: Tally) -> None:
        """Take served rows of this cell. `after`: for every known shard, a key that all its later rows exceed."""
        taken = 0
        while taken < len(keys):
            if self.rows % self.size == 0:
                self._begin(shard, int(keys[taken]), after, tally, int(ts[taken]))
            n = min(len(keys) - taken, self.size - self.rows % self.size)
            self.predicted[-1] += n
            self.first_ts[-1] = min(self.first_ts[-1], int(ts[taken : taken + n].min()))
            self.last_ts[-1] = max(self.last_ts[-1], int(ts[taken : taken + n].max()))
            self.rows += n
            taken += n

    def _begin(self, shard: int, key: int, after: dict[int, int], tally: Tally, ts: int) -> None:
        for known in {*self.starts, *after, shard}:
            starts = self.starts.setdefault(known, [0] * len(self.predicted))
            starts.append(key if known == shard else after.get(known, 0))
        self.predicted.append(0)
        self.first_ts.append(ts)
        self.last_ts.append(ts)
        self.counts.append(np.zeros(tally.counts, np.int64))
        self.sums.append(np.zeros(len(tally.sums), np.float64))
        if len(self.predicted) > MAX_COHORTS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        for numbers in (*self.starts.values(), self.predicted, self.first_ts, self.last_ts):
            del numbers[0]
        del self.counts[0], self.sums[0]
        self.dropped += 1

    def find(self, shard: int, keys: IntArray) -> IntArray:
        """Return the position of each served row's cohort in the kept arrays; -1 where it is dropped or unknown."""
        starts = self.starts.get(shard)
        if starts is None:
            return np.full(len(keys), -1, np.int64)
        return np.searchsorted(np.asarray(starts, np.int64), keys, side="right") - 1

    def add(self, at: IntArray, index: IntArray, addends: FloatArray, sign: int) -> None:
        """Add (or with sign -1 take back) rows' contributions, in row order."""
        for where, i, row in zip(at.tolist(), index.tolist(), addends, strict=True):
            if where >= 0 and i >= 0:
                self.counts[where][i] += sign
                self.sums[where] += sign * row

    def span(self, at: int) -> tuple[int, int]:
        """Return the first and last row (of this cell, inclusive) of a full cohort."""
        start = (at + self.dropped) * self.size
        return start, start + self.predicted[at] - 1


class CohortState(msgspec.Struct):
    """All cells' cohorts."""

    cells: list[CellCohorts]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled rows as a tally takes them; see `Tally.contributions`."""

    keys: IntArray  # served key of each row's prediction
    cells: IntArray  # [rows, memberships], -1 none
    index: IntArray
    addends: FloatArray


class Cohorts:
    """The cohorts of every cell of one model version."""

    def __init__(self, labels: Sequence[str], sizes: Sequence[int], tally: Tally) -> None:
        self._labels = labels
        self._tally = tally
        self.state = CohortState([CellCohorts(size=size) for size in sizes])

    def serve(self, shard: int, seq: int, cells: IntArray, ts: IntArray, last: Mapping[int, int]) -> None:
        """Take one served block. `last`: the newest sequence number of every shard, this block's included."""
        keys = served_key(np.full(len(ts), seq, np.int64), np.arange(len(ts), dtype=np.int64))
        after = {other: (newest + 1) << ROW_BITS for other, newest in last.items() if other != shard}
        for membership in cells.T:
            for cell in np.unique(membership[membership >= 0]).tolist():
                here = membership == cell
                self.state.cells[cell].serve(shard, keys[here], ts[here], after, self._tally)

    def label(self, shard: int, rows: Labelled, sign: int = 1) -> None:
        """Count labelled rows where their predictions were served; sign -1 takes a replaced label back."""
        for membership in rows.cells.T:
            for cell in np.unique(membership[membership >= 0]).tolist():
                here = np.flatnonzero(membership == cell)
                book = self.state.cells[cell]
                book.add(book.find(shard, rows.keys[here]), rows.index[here], rows.addends[here], sign)

    def rows(self, model: str, version: str, final_before_ms: int) -> list[CohortRow]:
        """Return every full cohort; final where its last prediction is older than `final_before_ms`."""
        found = []
        for label, book in zip(self._labels, self.state.cells, strict=True):
            for at, predicted in enumerate(book.predicted):
                if predicted < book.size:
                    continue
                start, end = book.span(at)
                labelled = int(book.counts[at].sum())
                found.append(
                    CohortRow(
                        model=model,
                        model_version=version,
                        segment=label,
                        cohort_start_row=start,
                        cohort_end_row=end,
                        n_predicted=predicted,
                        n_labelled=labelled,
                        coverage=labelled / predicted,
                        state="final" if book.last_ts[at] < final_before_ms else "provisional",
                        metrics=self._tally.metrics(book.counts[at], book.sums[at]),
                    )
                )
        return found
