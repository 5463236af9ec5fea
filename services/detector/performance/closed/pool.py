"""Closed cohorts, taken together until they have enough labels of each class to say something."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from services.detector.performance.closed.reference import AUC, CALIBRATION, ClosedReference
from services.detector.performance.metrics.curves import delong
from services.detector.performance.score_counts import EXACT
from services.detector.structs import IntArray

FEWEST = 50  # labels of each class, with fewer of which an area is no figure to page by


@dataclass(frozen=True, slots=True)
class Reading:
    """What one pool says to a monitor."""

    value: float
    error: float  # standard error of the value, were the model as it was in the reference
    reference_error: float  # standard error of what it is compared with


class Pool(msgspec.Struct):
    """Labels by bins of scores, of cohorts one after another."""

    counts: np.ndarray = msgspec.field(default_factory=lambda: np.zeros((EXACT, 2), np.int64))  # negatives, positives
    first_row: int = -1
    last_row: int = -1

    def add(self, counts: IntArray, first_row: int, last_row: int) -> None:
        """Take a cohort's labels, shape (bins, 2); rows: its first and last served row."""
        self.first_row = first_row if self.first_row < 0 else self.first_row
        self.last_row = last_row
        self.counts = self.counts + counts

    @property
    def is_full(self) -> bool:
        """Tell whether there are enough labels of each class."""
        return int(self.counts.sum(axis=0).min()) >= FEWEST

    @property
    def labels(self) -> int:
        """Return the labels."""
        return int(self.counts.sum())


def grouped(counts: IntArray, ends: list[int]) -> IntArray:
    """Return the counts of each group of bins, shape (groups, 2)."""
    found: IntArray = np.add.reduceat(counts, [0, *ends], axis=0)
    return found


def readings(counts: IntArray, reference: ClosedReference) -> dict[str, Reading]:
    """Return what the labels of a full pool, shape (bins, 2), say to each monitor."""
    found = delong(counts[:, 0], counts[:, 1])
    negatives, positives = counts.sum(axis=0).tolist()
    # The larger error: few pairs in the wrong order, or none, say little of how the area scatters.
    error = max(found.error, reference.area_spread(positives, negatives))
    return {
        AUC: Reading(found.area, error, reference.area_error),
        CALIBRATION: calibration(grouped(counts, reference.group_ends), reference),
    }


def reference_pool(reference: ClosedReference) -> dict[str, Reading]:
    """Return what a pool would say that is like the reference."""
    share = reference.pool_labels / reference.labels
    labels, positives = np.array(reference.group_labels), np.array(reference.group_positives)
    groups = np.rint(share * np.column_stack([labels - positives, positives])).astype(np.int64)
    negatives, of_class = (max(int(count), 1) for count in groups.sum(axis=0).tolist())
    return {
        AUC: Reading(reference.area, reference.area_spread(of_class, negatives), reference.area_error),
        CALIBRATION: calibration(groups, reference),
    }


def calibration(groups: IntArray, reference: ClosedReference) -> Reading:
    """Return the mean of label - share of positive labels at its score in the reference, from counts of the groups.

    Given their scores, labels have that mean 0 and the variance of independent draws, whatever the mix of scores: the
    statistic of Spiegelhalter, Probabilistic prediction in patient management, 1986, with the reference's own shares.
    """
    labels = groups.sum(axis=1).astype(np.float64)
    of_reference = np.array(reference.group_labels, np.float64)
    # Half a label of each class: a group without a positive label does not rule one out.
    shares = (np.array(reference.group_positives) + 0.5) / (of_reference + 1.0)
    spreads, total = shares * (1.0 - shares), float(labels.sum())
    return Reading(
        value=float((groups[:, 1] - labels * shares).sum()) / total,
        error=math.sqrt(float((labels * spreads).sum())) / total,
        reference_error=math.sqrt(float((labels * labels * spreads / of_reference).sum())) / total,
    )
