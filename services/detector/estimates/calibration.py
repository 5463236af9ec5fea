"""From scores to chances: isotonic regression on the reference, where it brings scores nearer to what labels say.

Estimates from confidence are as right as the chances are. A score is calibrated only where that lowers the expected
calibration error on rows that the fit has not seen, as Białek, Kuberski and others do (Confidence-based estimation of
model performance, arXiv:2407.08649).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray

KNOTS = 512  # of a calibration at most
ALL_KNOTS = 10_240  # of those of all classes
FOLDS = 10
BINS = 10  # of equally many rows, for the expected calibration error


class Calibration(msgspec.Struct, frozen=True, eq=False):
    """A monotone map, linear between knots and level beyond the first and the last."""

    scores: np.ndarray  # float64 [knots], rising
    chances: np.ndarray  # float64 [knots], never falling
    is_fitted: bool  # else scores are chances as they are

    def of(self, scores: FloatArray) -> FloatArray:
        """Return the chances of scores; NaN stays."""
        found: FloatArray = np.interp(scores, self.scores, self.chances)
        return np.where(np.isnan(scores), np.nan, found)


AS_THEY_ARE = Calibration(np.array([0.0, 1.0]), np.array([0.0, 1.0]), is_fitted=False)


def calibrate(scores: FloatArray, truths: BoolArray, classes: int = 1) -> Calibration:
    """Return the calibration of the scores of one of several classes; truths are of that class, no score is missing."""
    if scores.size < FOLDS * BINS or truths.all() or not truths.any():
        return AS_THEY_ARE
    fold = np.empty(scores.size, np.int64)
    for truth in (False, True):
        rows = np.flatnonzero(truths == truth)
        fold[rows] = np.arange(rows.size) % FOLDS
    unseen = np.empty_like(scores)
    for number in range(FOLDS):
        unseen[fold == number] = _fit(scores[fold != number], truths[fold != number]).of(scores[fold == number])
    if calibration_error(unseen, truths) >= calibration_error(scores, truths):
        return AS_THEY_ARE
    return _thinned(_fit(scores, truths), min(KNOTS, ALL_KNOTS // classes))


def normalised(chances: Sequence[FloatArray]) -> FloatArray:
    """Return several classes' chances with a sum of 1, shape (rows, classes); equal ones where all are 0."""
    each = np.column_stack(chances)
    total = each.sum(axis=1, keepdims=True)
    return np.where(total == 0.0, 1.0 / each.shape[1], each / np.where(total == 0.0, 1.0, total))


def calibration_error(chances: FloatArray, truths: BoolArray) -> float:
    """Return the expected calibration error over bins of equally many rows."""
    order = np.argsort(chances, kind="stable")
    gap = np.cumsum(np.concatenate([np.zeros(1), chances[order] - truths[order]]))
    ends = np.arange(BINS + 1) * chances.size // BINS
    return float(np.abs(np.diff(gap[ends])).sum()) / chances.size


def _fit(scores: FloatArray, truths: BoolArray) -> Calibration:
    from scipy.optimize import isotonic_regression

    distinct, place = np.unique(scores, return_inverse=True)
    rows = np.bincount(place).astype(np.float64)
    shares = np.bincount(place, truths.astype(np.float64)) / rows
    return Calibration(distinct, np.clip(isotonic_regression(shares, weights=rows).x, 0.0, 1.0), is_fitted=True)


def _thinned(whole: Calibration, most: int) -> Calibration:
    """Return the same map without knots inside of a level, and with no more than may be kept."""
    chances = whole.chances
    inside = np.concatenate([[False], (chances[1:-1] == chances[:-2]) & (chances[1:-1] == chances[2:]), [False]])
    kept = np.flatnonzero(~inside[: chances.size])
    if kept.size > most:
        kept = kept[np.unique(np.linspace(0, kept.size - 1, most).round().astype(np.int64))]
    return Calibration(whole.scores[kept], chances[kept], is_fitted=True)
