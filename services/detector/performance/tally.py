"""What a cohort adds up, and the metrics that follow from the sums.

Every sum can also be subtracted from, so that a corrected label replaces the one before exactly.
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
_BINARY_SUMS = ("log_loss", "brier")
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

        For classes, `label` and `prediction` hold codes; `score` is the positive class's probability or NaN.
        """
        if self.task == "regression":
            error = prediction - label
            addends = np.stack([np.abs(error), error * error, error, label, label * label], axis=1)
            return np.zeros(len(label), np.int64), addends
        index = (label * (len(self.classes) + 1) + prediction).astype(np.int64)
        index[label >= len(self.classes)] = -1  # a class that this baseline does not know has no place
        if self.task == "multiclass":
            return index, np.zeros((len(label), 0))
        truth = label == self.positive
        clipped = [min(max(s, SCORE_CLIP), 1.0 - SCORE_CLIP) for s in score.tolist()]
        loss = [-math.log(s if t else 1.0 - s) for s, t in zip(clipped, truth.tolist(), strict=True)]
        return index, np.stack([np.asarray(loss, np.float64), (score - truth) ** 2], axis=1)

    def metrics(self, counts: IntArray, sums: FloatArray) -> Metrics:
        """Return every metric by its name."""
        if self.task == "regression":
            return _regression(int(counts[0]), dict(zip(self.sums, sums.tolist(), strict=True)))
        k = len(self.classes)
        confusion = counts.reshape(k, k + 1)
        if self.task == "multiclass":
            return _multiclass(confusion, self.classes)
        return _binary(confusion, self.positive, dict(zip(self.sums, sums.tolist(), strict=True)))


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
        "log_loss": _finite_ratio(sums["log_loss"], n),
        "brier": _finite_ratio(sums["brier"], n),
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


def _finite_ratio(total: float, n: int) -> float | None:
    return total / n if n and math.isfinite(total) else None
