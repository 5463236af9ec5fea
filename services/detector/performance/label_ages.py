"""The age of a label, from its prediction to itself: what may be said of errors whose labels come soon or late.

Which labels come soon is no random choice: a fraud is known in days, its absence in a month. So the rate of errors
among labels that arrive follows the traffic of days ago in one class and of a month ago in another, and moves without
the model being any worse. Given its age, a label is as often an error as it was in the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Self

import msgspec
import numpy as np

from services.detector.structs import FloatArray, IntArray

QUANTILES = (0.99, 0.01, 0.5, 0.25, 0.75, 0.125, 0.375, 0.625, 0.875)  # in order: ends keep classes apart
MIN_LABELS = 100  # of the reference, in each bucket
MAX_BUCKETS = 32
ALIKE = 2.0  # standard errors of the difference of two neighbours that count as the same


class LabelAges(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same of all labels of one bucket of ages; buckets are left-open: (edge before, edge]."""

    edges_ms: list[int]  # rising
    p0: list[list[float]]  # [bucket][monitor], the largest rate that counts as none the worse
    residual_shifts: list[float]  # [bucket], of the mean normal score of residuals from that of all

    def place(self, ages_ms: IntArray) -> IntArray:
        """Return the bucket of each age."""
        return np.searchsorted(np.array(self.edges_ms, np.int64), ages_ms).astype(np.int64)


class Buckets(msgspec.Struct, frozen=True):
    """Labels by their age. Each lies in one of `count` buckets."""

    of_label: np.ndarray  # int64 [labels]
    edges_ms: list[int] = []

    @property
    def count(self) -> int:
        """Return the number of buckets."""
        return len(self.edges_ms) + 1

    @classmethod
    def none(cls, labels: int) -> Self:
        """Return labels of which no age is known."""
        return cls(np.zeros(labels, np.int64))

    @classmethod
    def of_ages(cls, ages_ms: IntArray, groups: IntArray) -> Self:
        """Return buckets between the quantiles of each group's ages, the largest groups first.

        A cut is made only where it leaves `MIN_LABELS` labels on either side of it.
        """
        ordered = np.sort(ages_ms)
        sizes = np.bincount(groups)
        wanted = [
            int(np.quantile(ages_ms[groups == group], quantile, method="inverted_cdf"))
            for quantile in QUANTILES
            for group in np.argsort(-sizes, kind="stable").tolist()
            if sizes[group] >= MIN_LABELS
        ]
        cuts = [0, len(ordered)]  # labels up to each edge
        edges: list[int] = []
        for edge in wanted:
            upto = int(np.searchsorted(ordered, edge, side="right"))
            if len(cuts) <= MAX_BUCKETS and min(abs(upto - cut) for cut in cuts) >= MIN_LABELS:
                cuts.append(upto)
                edges.append(edge)
        edges.sort()
        return cls(np.searchsorted(np.array(edges, np.int64), ages_ms).astype(np.int64), edges)

    def means(self, values: FloatArray, variance: Callable[[float], float]) -> FloatArray | None:
        """Return the mean of values in each bucket, neighbours that are alike taken together.

        values: [labels], NaN unknown; variance: of one value, where so much is the mean. None where all are alike.
        """
        found = self._alike(values, variance)
        return None if len(found) == 1 else self._spread((sum_ / max(n, 1.0), first) for sum_, n, first in found)

    def upper_rates(self, flags: FloatArray, error: Callable[[float, float], float]) -> FloatArray | None:
        """Return each bucket's rate and two standard errors of it, `error(flags set, flags)`; None as of `means`."""
        found = self._alike(flags, lambda rate: rate * (1.0 - rate))
        if len(found) == 1:
            return None
        return self._spread((ones / max(n, 1.0) + 2 * error(ones, n), first) for ones, n, first in found)

    def _alike(self, values: FloatArray, variance: Callable[[float], float]) -> list[tuple[float, float, int]]:
        """Return sum, number and first bucket of neighbours that are alike."""
        known = ~np.isnan(values)
        numbers = np.bincount(self.of_label[known], minlength=self.count).astype(np.float64)
        sums = np.bincount(self.of_label[known], weights=values[known], minlength=self.count)
        found = list(zip(sums.tolist(), numbers.tolist(), range(self.count), strict=True))
        while len(found) > 1:
            distances = [_distance(a, b, variance) for a, b in pairwise(found)]
            nearest = distances.index(min(distances))
            if distances[nearest] >= ALIKE * ALIKE:
                break
            (sum_a, n_a, first), (sum_b, n_b, _) = found[nearest : nearest + 2]
            found[nearest : nearest + 2] = [(sum_a + sum_b, n_a + n_b, first)]
        return found

    def _spread(self, means: Iterable[tuple[float, int]]) -> FloatArray:
        found = np.zeros(self.count)
        for mean, first in means:
            found[first:] = mean
        return found


def _distance(a: tuple[float, float, int], b: tuple[float, float, int], variance: Callable[[float], float]) -> float:
    """Return the squared difference of two means over its variance under their common mean."""
    if not a[1] or not b[1]:
        return 0.0
    difference, common = a[0] / a[1] - b[0] / b[1], (a[0] + b[0]) / (a[1] + b[1])
    spread = variance(common) * (1.0 / a[1] + 1.0 / b[1])
    return 0.0 if spread <= 0.0 else difference * difference / spread


def tilted(rates: Sequence[float], odds: float) -> list[float]:
    """Return rates whose odds are so many times as large."""
    return [min(max(odds * rate / (1.0 - rate + odds * rate), 1e-6), 1.0 - 1e-6) for rate in rates]


def odds_ratio(after: float, before: float) -> float:
    """Return how many times the odds of `before` those of `after` are; both are kept off 0 and 1."""
    q, p = (min(max(rate, 1e-6), 1.0 - 1e-6) for rate in (after, before))
    return q * (1.0 - p) / (p * (1.0 - q))
