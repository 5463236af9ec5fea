"""The last labels: what each said, of which prediction, and where it stands. They tell when a loss began.

Labels arrive in any order, a prediction's after a minute or after months, so the first label of a loss is not of its
first prediction. The onset is estimated in the order of predictions: the row from which on the labels' evidence for the
loss, the sum of log likelihood ratios after / before, is largest (the maximum likelihood estimate of a change point,
Hinkley, Inference about the change-point in a sequence of random variables, 1970).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np

from services.detector.signals.columns import Codes
from services.detector.structs import FloatArray, IntArray
from shared.events.alert import Place
from shared.events.block import MAX_ROWS
from shared.values import format_ts

REACH = 4_096  # labels that an estimate looks at
KEPT = REACH + MAX_ROWS  # so that they are known at any row of a block, wherever the block ends
LEAST_RATE = 1e-6  # a rate of exactly 0 or 1 would rule out what has been seen


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

    def onset_of_rate(self, label: int, series: int, before: Sequence[float], after: Sequence[float]) -> Place:
        """Return since when flags are set with probability `after` and no longer `before`; see `onset_of_mean`.

        Both have a rate for every bucket of ages.
        """
        pairs = [(_inside(p), _inside(q)) for p, q in zip(before, after, strict=True)]
        if_set = np.array([math.log(q / p) for p, q in pairs])
        if_clear = np.array([math.log((1.0 - q) / (1.0 - p)) for p, q in pairs])
        flags, age = self._values(label, series), self.age[self._kept(label)]
        return self._largest_from(label, np.where(flags != 0.0, if_set[age], if_clear[age]), np.isnan(flags))

    def expected(self, label: int, series: int, events: int, rates: Sequence[float]) -> float:
        """Return the mean of the rates that the last `events` flags of a series had by their ages."""
        flags, age = self._values(label, series), self.age[self._kept(label)]
        return float(np.array(rates)[age[~np.isnan(flags)][-events:]].mean())

    def onset_of_mean(self, label: int, series: int, before: float, after: float) -> Place:
        """Return since when scores of deviation 1 have the mean `after` and no longer `before`.

        label: the label (from 0, of the block appended last) up to which is looked.
        """
        scores = self._values(label, series)
        return self._largest_from(label, (after - before) * (scores - (before + after) / 2.0), np.isnan(scores))

    def place_of(self, label: int, series: int, events: int) -> Place:
        """Return the place of the oldest of the last `events` values of a series, at most `REACH` labels back."""
        defined = self._kept(label)[~np.isnan(self._values(label, series))]
        return self._place(int(defined[-min(events, len(defined))]))

    def _kept(self, label: int) -> IntArray:
        return np.arange(max(label - REACH + 1, 0), label + 1) % KEPT

    def _values(self, label: int, series: int) -> FloatArray:
        found: FloatArray = self.values[self._kept(label), series].astype(np.float64)
        return found

    def _largest_from(self, label: int, evidence: FloatArray, undefined: np.ndarray) -> Place:
        """Return the place of the prediction from which on the summed evidence is largest."""
        kept = self._kept(label)[~undefined]
        order = np.argsort(self.row[kept], kind="stable")
        from_here_on = np.cumsum(evidence[~undefined][order][::-1])[::-1]
        return self._place(int(kept[order][np.argmax(from_here_on)]))

    def _place(self, at: int) -> Place:
        return Place(
            row=int(self.row[at]),
            ts=format_ts(int(self.ts[at])),
            topic=self.topics[int(self.topic[at])],
            partition=int(self.partition[at]),
            offset=int(self.offset[at]),
        )


def _inside(rate: float) -> float:
    return min(max(rate, LEAST_RATE), 1.0 - LEAST_RATE)
