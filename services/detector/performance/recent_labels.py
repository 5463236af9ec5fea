"""The last labels: what each said, of which prediction, and where it stands. They tell when a loss began.

Labels arrive in any order, a prediction's after a minute or after months, so the first label of a loss is not of its
first prediction. The onset is estimated in the order of predictions: the row from which on the labels' evidence for the
loss, the sum of log likelihood ratios after / before, is largest (the maximum likelihood estimate of a change point,
Hinkley, Inference about the change-point in a sequence of random variables, 1970).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import msgspec
import numpy as np

from services.detector.performance.evidence import Evidence, Hypothesis
from services.detector.signals.columns import Codes
from services.detector.structs import FloatArray, IntArray
from shared.events.alert import Place
from shared.events.block import MAX_ROWS
from shared.values import format_ts

REACH = 4_096  # labels that an estimate looks at
KEPT = REACH + MAX_ROWS  # so that they are known at any row of a block, wherever the block ends


class RecentLabels(msgspec.Struct):
    """The last `KEPT` labels in order of arrival. `row` and `ts` are the prediction's, the coordinates the label's."""

    values: np.ndarray  # float32 [KEPT, series]: flags and scores as monitors see them, NaN undefined
    labels: int = 0  # so far
    age: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int8))  # bucket of ages
    row: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int64))
    ts: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int64))
    partition: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int32))
    offset: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int64))
    topic: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int16))
    topics: list[str] = []

    @classmethod
    def of(cls, series: int) -> Self:
        """Return an empty memory of `series` values a label."""
        return cls(values=np.full((KEPT, series), np.nan, np.float32))

    def topic_code(self, name: str) -> int:
        """Return the number of a topic."""
        if name not in self.topics:
            self.topics.append(name)
        return self.topics.index(name)

    def append(
        self,
        values: FloatArray,
        age: IntArray,
        row: IntArray,
        ts: IntArray,
        topic: Codes,
        partition: IntArray,
        offset: IntArray,
    ) -> None:
        """Take the next labels, in order; `topic` as `topic_code` numbers them."""
        at = np.arange(self.labels, self.labels + len(row)) % KEPT
        self.values[at], self.age[at], self.row[at], self.ts[at] = values, age, row, ts
        self.topic[at], self.partition[at], self.offset[at] = topic, partition, offset
        self.labels += len(row)

    def onset(self, label: int, loss: Hypothesis) -> Place:
        """Return since when a loss lasts.

        label: the label (from 0, of the block appended last) up to which is looked.
        """
        kept, values = self._kept(label), self._values(label, loss.series)
        gains = loss.gains(values, self.age[kept])
        defined = ~np.isnan(values)
        order = np.argsort(self.row[kept[defined]], kind="stable")
        from_here_on = np.cumsum(gains[defined][order][::-1])[::-1]
        return self._place(int(kept[defined][order][np.argmax(from_here_on)]))

    def weigh(self, label: int, evidence: Evidence) -> float:
        """Return what the kept labels up to a label say of a loss."""
        kept = self._kept(label)
        held = evidence.holds(self._number(kept), self.row[kept])
        loss = evidence.hypothesis
        return float(loss.gains(self._values(label, loss.series), self.age[kept])[held].sum())

    def first_of(self, label: int, series: int, events: int) -> int:
        """Return which label (from 0) told the first of the last `events` values of a series, of the kept ones."""
        return int(self._number(self._last_of(label, series, events)))

    def means(self, label: int, series: int, events: int) -> tuple[float, float]:
        """Return the mean of a series before its last `events` values, and of these; NaN of none that are kept."""
        values = self._values(label, series)
        known = values[~np.isnan(values)]
        before, after = known[:-events], known[-events:]
        return (float(before.mean()) if len(before) else math.nan, float(after.mean()) if len(after) else math.nan)

    def since(self, label: int, row: int) -> tuple[FloatArray, IntArray, IntArray]:
        """Return values, rows and times of the kept labels up to a label whose predictions are from a row on."""
        kept = self._kept(label)
        held = kept[self.row[kept] >= row]
        return self.values[held], self.row[held], self.ts[held]

    def find(self, rows: IntArray) -> IntArray:
        """Return where the newest label of each prediction is kept; -1 where it is not."""
        kept = np.arange(max(self.labels - KEPT, 0), self.labels) % KEPT
        order = kept[np.argsort(self.row[kept], kind="stable")]
        at = np.searchsorted(self.row[order], rows, side="right") - 1
        found: IntArray = np.where((at >= 0) & (self.row[order[at]] == rows), order[at], -1) if len(order) else at
        return found

    def later(self, at: int, series: int) -> int:
        """Return how many values of a series came after the label that is kept at a place."""
        after = self.values[np.arange(int(self._number(at)) + 1, self.labels) % KEPT, series]
        return int((~np.isnan(after)).sum())

    def numbers(self, at: IntArray) -> IntArray:
        """Return which labels (from 0) are kept at places; -1 at none."""
        found: IntArray = np.where(at >= 0, self._number(at), -1)
        return found

    def expected(self, label: int, series: int, events: int, rates: Sequence[float]) -> float:
        """Return the mean of the rates that the last `events` flags of a series had by their ages."""
        flags, age = self._values(label, series), self.age[self._kept(label)]
        return float(np.array(rates)[age[~np.isnan(flags)][-events:]].mean())

    def place_of(self, label: int, series: int, events: int) -> Place:
        """Return the place of the oldest of the last `events` values of a series, at most `REACH` labels back."""
        return self._place(self._last_of(label, series, events))

    def _last_of(self, label: int, series: int, events: int) -> int:
        defined = self._kept(label)[~np.isnan(self._values(label, series))]
        return int(defined[-min(events, len(defined))])

    def _number(self, at: Any) -> Any:
        """Return which labels (from 0) are kept at places."""
        return at + (self.labels - 1 - at) // KEPT * KEPT

    def _kept(self, label: int) -> IntArray:
        return np.arange(max(label - REACH + 1, 0), label + 1) % KEPT

    def _values(self, label: int, series: int) -> FloatArray:
        found: FloatArray = self.values[self._kept(label), series].astype(np.float64)
        return found

    def _place(self, at: int) -> Place:
        return Place(
            row=int(self.row[at]),
            ts=format_ts(int(self.ts[at])),
            topic=self.topics[int(self.topic[at])],
            partition=int(self.partition[at]),
            offset=int(self.offset[at]),
        )
