"""What a cohort adds up, and the metrics that follow from the sums.

Every sum can also be subtracted from, so that a corrected label replaces the one before.
Definitions and names are scikit-learn's; a metric without a denominator is None, never 0 and never NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from services.detector.structs import FloatArray, IntArray

Metrics = dict[str, float | None]

SCORE_CLIP = 1e-6  # log_loss of a score at exactly 0 or 1 stays finite
_BINARY_SUMS = ("scored", "log_loss", "brier")  # rows with a score, and what their scores cost
_REGRESSION_SUMS = ("absolute", "squared", "signed", "label", "label_squared")


@dataclass(frozen=True, slots=True)
class Tally:
    """The layout of a cohort's sums for one task.

    Classes are codes 0..K-1 of `classes`; a predicted class outside them is K. Counts are the confusion matrix
    (label x prediction, K x (K+1)) for classes and a row count for regression; sums are float64.
    """

    task: Literal["binary", "multiclass", "regression"]
    classes: tuple[str, ...]
    positive: int = -1  # code of the positive class; binary only

    @property
    def counts(self) -> int:
        """Return how many integers a cohort keeps."""
        return 1 if self.task == "regression" else len(self.classes) * (len(self.classes) + 1)

    @property
    def sums(self) -> tuple[str, ...]:
        """Return the names of the float sums that a cohort keeps."""
        if self.task == "regression":
            return _REGRESSION_SUMS
        return _BINARY_SUMS if self.task == "binary" else ()

    def contributions(
        self, label: FloatArray, prediction: FloatArray, score: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """Return each row's count index and its addends to the sums, shape (rows, sums).

        For classes, `label` and `prediction` hold codes, NaN for a label that is no class of the baseline; `score` is
        the positive class's probability or NaN. A row that has no place among the counts has the index -1.
        """
        error = prediction - label
        known = ~np.isnan(error)
        if self.task == "regression":
            addends = np.stack([np.abs(error), error * error, error, label, label * label], axis=1)
            return np.where(known, 0, -1), addends
        index = np.full(len(label), -1, np.int64)
        index[known] = label[known] * (len(self.classes) + 1) + prediction[known]
        if self.task == "multiclass":
            return index, np.zeros((len(label), 0))
        truth = label == self.positive
        costs = [_score_costs(s, is_positive=t) for s, t in zip(score.tolist(), truth.tolist(), strict=True)]
        return index, np.array(costs, np.float64).reshape(len(label), len(_BINARY_SUMS))

    def metrics(self, counts: IntArray, sums: FloatArray) -> Metrics:
        """Return every metric by its name."""
        if self.task == "regression":
            return _regression(int(counts[0]), dict(zip(self.sums, sums.tolist(), strict=True)))
        k = len(self.classes)
        confusion = counts.reshape(k, k + 1)
        if self.task == "multiclass":
            return _multiclass(confusion, self.classes)
        return _binary(confusion, self.positive, dict(zip(self.sums, sums.tolist(), strict=True)))


def _score_costs(score: float, *, is_positive: bool) -> tuple[float, float, float]:
    """Return one row's `_BINARY_SUMS`; a missing score costs nothing and is not counted."""
    if math.isnan(score):
        return 0.0, 0.0, 0.0
    clipped = min(max(score, SCORE_CLIP), 1.0 - SCORE_CLIP)
    return 1.0, -math.log(clipped if is_positive else 1.0 - clipped), (score - is_positive) ** 2


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _f1(tp: int, fp: int, fn: int) -> float | None:
    return _ratio(2 * tp, 2 * tp + fp + fn)


def _binary(confusion: IntArray, positive: int, sums: dict[str, float]) -> Metrics:
    n = int(confusion.sum())
    tp = int(confusion[positive, positive])
    fn = int(confusion[positive].sum()) - tp
    fp = int(confusion[:, positive].sum()) - tp
    tn = n - tp - fn - fp
    recall, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    balanced = None if recall is None or specificity is None else (recall + specificity) / 2
    root = math.sqrt(float(tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    correct = int(sum(confusion[c, c] for c in range(len(confusion))))
    return {
        "accuracy": _ratio(correct, n),
        "precision": _ratio(tp, tp + fp),
        "recall": recall,
        "f1": _f1(tp, fp, fn),
        "specificity": specificity,
        "balanced_accuracy": balanced,
        "mcc": _ratio(tp * tn - fp * fn, root),
        "fpr": _ratio(fp, tn + fp),
        "fnr": _ratio(fn, tp + fn),
        "log_loss": _ratio(sums["log_loss"], sums["scored"]),
        "brier": _ratio(sums["brier"], sums["scored"]),
        "tn": float(tn),
        "fp": float(fp),
        "fn": float(fn),
        "tp": float(tp),
    }


def _multiclass(confusion: IntArray, classes: tuple[str, ...]) -> Metrics:
    n = int(confusion.sum())
    found: Metrics = {"accuracy": _ratio(int(sum(confusion[c, c] for c in range(len(classes)))), n)}
    columns: dict[str, list[float | None]] = {"precision": [], "recall": [], "f1": []}
    for code in range(len(classes)):
        tp = int(confusion[code, code])
        fn, fp = int(confusion[code].sum()) - tp, int(confusion[:, code].sum()) - tp
        columns["precision"].append(_ratio(tp, tp + fp))
        columns["recall"].append(_ratio(tp, tp + fn))
        columns["f1"].append(_f1(tp, fp, fn))
    for name, values in columns.items():
        found[f"{name}_macro"] = None if None in values else sum(v for v in values if v is not None) / len(values)
    return found


def _regression(n: int, sums: dict[str, float]) -> Metrics:
    mse = _ratio(sums["squared"], n)
    spread = sums["label_squared"] - sums["label"] ** 2 / n if n else 0.0
    return {
        "mae": _ratio(sums["absolute"], n),
        "mse": mse,
        "rmse": None if mse is None else math.sqrt(mse),
        "mean_error": _ratio(sums["signed"], n),
        "r2": 1.0 - sums["squared"] / spread if spread > 0 else None,
    }
