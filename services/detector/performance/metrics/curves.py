"""Areas under curves, from the counts of both classes at each distinct score."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from services.detector.performance.metrics.value import Value, around, undefined
from services.detector.statistics.proportions import Z95
from services.detector.structs import Counts, FloatArray


class Area(NamedTuple):
    """An area under the ROC curve, with DeLong's variances of what one label adds to it."""

    area: float
    of_positives: float
    of_negatives: float
    error: float  # standard error of the area


def roc_auc(negatives: Counts, positives: Counts, note: str = "") -> Value:
    """Return the area under the ROC curve, with DeLong's interval (DeLong, DeLong and Clarke-Pearson 1988).

    negatives, positives: rows at each distinct score, by rising score.
    """
    if not negatives.any() or not positives.any():
        return undefined(_one_class(float(positives.sum())))
    found = delong(negatives, positives)
    return around(found.area, found.error, 0.0, 1.0, note)


def delong(negatives: Counts, positives: Counts) -> Area:
    """Return the area under the ROC curve of labels of both classes; see `roc_auc`."""
    n, p = float(negatives.sum()), float(positives.sum())
    others, these = negatives.astype(np.float64), positives.astype(np.float64)
    below = (np.cumsum(others) - 0.5 * others) / n  # the share of negatives that a positive here is above
    above = (p - np.cumsum(these) + 0.5 * these) / p
    area = float(positives @ below) / p
    of_positives, of_negatives = _variance(positives, below, area), _variance(negatives, above, area)
    return Area(area, of_positives, of_negatives, math.sqrt(of_positives / p + of_negatives / n))


def average_precision(negatives: Counts, positives: Counts, note: str = "") -> Value:
    """Return the sum of precisions, each weighted by the recall that it adds; with the logit interval.

    The interval is of Boyd, Eng and Page, Area under the precision-recall curve: point estimates and confidence
    intervals, 2013.
    """
    n, p = float(negatives.sum()), float(positives.sum())
    if not n or not p:
        return undefined(_one_class(p))
    hits = np.cumsum(positives[::-1])
    taken = hits + np.cumsum(negatives[::-1])
    area = float(positives[::-1] @ (hits / np.where(taken > 0, taken, 1))) / p
    if not 0.0 < area < 1.0:
        return Value(area, note=note)
    half = Z95 / math.sqrt(p * area * (1.0 - area))
    low, high = (1.0 / (1.0 + (1.0 - area) / area * math.exp(-shift)) for shift in (-half, half))
    return Value(area, low, high, note)


def unordered(negatives: Counts, positives: Counts) -> float:
    """Return how far the area may be off where each count is of a bin whose scores are not told apart."""
    n, p = float(negatives.sum()), float(positives.sum())
    return float(negatives.astype(np.float64) @ positives) / (2.0 * n * p) if n and p else 0.0


def _one_class(positives: float) -> str:
    return "no scored label is a negative class" if positives else "no scored label is the positive class"


def _variance(weight: Counts, values: FloatArray, mean: float) -> float:
    total = float(weight.sum())
    return float(weight @ (values - mean) ** 2) / (total - 1) if total > 1 else 0.0
