"""Metrics of a confusion matrix, by scikit-learn's names and definitions, and their intervals.

A matrix is label x prediction, shape (K, K + 1): the last column counts predictions that are no class of the baseline.
Its entries are rows, or the rows that are to be expected.
Shares have Wilson's interval; what is made of several shares has the jackknife's (Efron and Stein, The jackknife
estimate of variance, 1981): the metric again without one row, for each kind of row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from services.detector.performance.metrics.value import Metrics, Value, around, rate, undefined
from services.detector.structs import Counts, FloatArray
from shared.degradation import MAX_NAMED_CLASSES

_Formula = Callable[[FloatArray], FloatArray]  # matrices [..., K, K + 1] to values [...], NaN where undefined
_Four = tuple[float, float, float, float]  # of a binary task: tn, fp, fn, tp


def binary(matrix: Counts, positive: int) -> Metrics:
    """Return the metrics of a binary task."""
    n = float(matrix.sum())
    tp = float(matrix[positive, positive])
    fn = max(float(matrix[positive].sum()) - tp, 0.0)  # a sum of chances is rounded
    fp = max(float(matrix[:, positive].sum()) - tp, 0.0)
    tn = max(n - tp - fn - fp, 0.0)
    positives, negatives = "no label is the positive class", "no label is a negative class"
    recall, specificity = rate(tp, tp + fn, positives), rate(tn, tn + fp, negatives)
    four = tn, fp, fn, tp
    return {
        "accuracy": rate(float(np.trace(matrix)), n, "no labels"),
        "precision": rate(tp, tp + fp, "nothing was predicted to be the positive class"),
        "recall": recall,
        "f1": _jackknifed_four(_f1, four, "neither a label nor a prediction is the positive class"),
        "specificity": specificity,
        "balanced_accuracy": _jackknifed_four(_balanced, four, positives if recall.value is None else negatives),
        "mcc": _jackknifed_four(_phi, four, "labels or predictions are all of one class", least=-1.0),
        "tpr": recall,
        "tnr": specificity,
        "fpr": rate(fp, tn + fp, negatives),
        "fnr": rate(fn, tp + fn, positives),
        **{name: Value(count) for name, count in (("tn", tn), ("fp", fp), ("fn", fn), ("tp", tp))},
    }


def multiclass(matrix: Counts, classes: Sequence[str]) -> Metrics:
    """Return the metrics of a multiclass task; `macro` and `weighted` means need every class's value."""
    n, whole = float(matrix.sum()), matrix.astype(np.float64)
    accuracy = rate(float(np.trace(matrix)), n, "no labels")
    unlabelled = _missing(classes, matrix.sum(axis=1), "no label is")
    unpredicted = _missing(classes, matrix[:, :-1].sum(axis=0), "nothing was predicted to be")
    found: Metrics = {
        "accuracy": accuracy,
        "balanced_accuracy": _jackknifed(_macro(_recalls), whole, unlabelled),
        "mcc": _jackknifed(_correlation, whole, "labels or predictions are all of one class", least=-1.0),
    }
    for name, each, why in (
        ("precision", _precisions, unpredicted),
        ("recall", _recalls, unlabelled),
        ("f1", _f1s, unlabelled or unpredicted),
    ):
        found[f"{name}_macro"] = _jackknifed(_macro(each), whole, why)
        found[f"{name}_micro"] = accuracy
        found[f"{name}_weighted"] = _jackknifed(_weighted(each), whole, why)
    if len(classes) <= MAX_NAMED_CLASSES:
        for code, label in enumerate(classes):
            hits, predicted, actual = float(whole[code, code]), float(whole[:, code].sum()), float(whole[code].sum())
            found[f"precision_{label}"] = rate(hits, predicted, f"nothing was predicted to be {label}")
            found[f"recall_{label}"] = rate(hits, actual, f"no label is {label}")
            one = n - actual - predicted + hits, predicted - hits, actual - hits, hits
            found[f"f1_{label}"] = _jackknifed_four(_f1, one, f"neither a label nor a prediction is {label}")
    return found


def estimates(matrix: FloatArray, positive: int) -> Metrics:
    """Return what matrices of weighted rows tell, without intervals; `positive` is negative for several classes."""
    recalls = [
        float(hits) / float(of) if of else math.nan for hits, of in zip(_hits(matrix), matrix.sum(axis=1), strict=True)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {"balanced_accuracy": sum(recalls) / len(recalls), "mcc": float(_correlation(matrix))}
        if positive < 0:
            found |= {"recall_macro": found["balanced_accuracy"], "f1_macro": float(_f1s(matrix).mean())}
        else:
            tp, fn = matrix[positive, positive], matrix[positive].sum() - matrix[positive, positive]
            found["recall"], found["specificity"] = recalls[positive], recalls[1 - positive]
            found["f1"] = _f1((0.0, float(matrix[:, positive].sum() - tp), float(fn), float(tp)))
    return {
        name: undefined("no labels of a class") if math.isnan(value) else Value(value) for name, value in found.items()
    }


def _missing(classes: Sequence[str], rows: Counts, what: str) -> str:
    return next((f"{what} {label}" for label, count in zip(classes, rows.tolist(), strict=True) if not count), "")


def _jackknifed(formula: _Formula, matrix: FloatArray, why: str, least: float = 0.0) -> Value:
    """Return a metric of a matrix; all rows of one entry are alike, so one row less of each entry is all there is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(formula(matrix))
        if math.isnan(value):
            return undefined(why if matrix.sum() else "no labels")
        held = np.argwhere(matrix > 0)
        without = np.repeat(matrix[np.newaxis], len(held), axis=0)
        weight = matrix[held[:, 0], held[:, 1]]
        without[np.arange(len(held)), held[:, 0], held[:, 1]] -= np.minimum(weight, 1.0)
        others = formula(without)
    n = float(matrix.sum())
    mean = float(weight @ others) / n
    variance = (n - 1.0) / n * float(weight @ (others - mean) ** 2)
    return around(value, math.sqrt(variance) if variance >= 0.0 else math.nan, least, 1.0)


def _jackknifed_four(formula: Callable[[_Four], float], four: _Four, why: str, least: float = 0.0) -> Value:
    """Return a metric of four counts; as `_jackknifed`, in plain numbers: arrays this small take ten times as long."""
    value, n = formula(four), sum(four)
    if math.isnan(value):
        return undefined(why if n else "no labels")
    without = [(count, formula(others)) for count, others in zip(four, _one_less_of_each(four), strict=True) if count]
    mean = sum(count * other for count, other in without) / n
    variance = (n - 1.0) / n * sum(count * (other - mean) ** 2 for count, other in without)
    return around(value, math.sqrt(max(variance, 0.0)), least, 1.0)


def _one_less_of_each(four: _Four) -> Iterator[_Four]:
    tn, fp, fn, tp = four
    yield max(tn - 1, 0), fp, fn, tp  # of less than one row all that there is
    yield tn, max(fp - 1, 0), fn, tp
    yield tn, fp, max(fn - 1, 0), tp
    yield tn, fp, fn, max(tp - 1, 0)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _f1(four: _Four) -> float:
    _, fp, fn, tp = four
    return _share(2 * tp, 2 * tp + fp + fn)


def _balanced(four: _Four) -> float:
    tn, fp, fn, tp = four
    return (_share(tp, tp + fn) + _share(tn, tn + fp)) / 2


def _phi(four: _Four) -> float:
    """Matthews' coefficient of two classes."""
    tn, fp, fn, tp = four
    return _share(tp * tn - fp * fn, math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def _hits(matrix: FloatArray) -> FloatArray:
    found: FloatArray = np.diagonal(matrix, axis1=-2, axis2=-1)
    return found


def _recalls(matrix: FloatArray) -> FloatArray:
    found: FloatArray = _hits(matrix) / matrix.sum(axis=-1)
    return found


def _precisions(matrix: FloatArray) -> FloatArray:
    found: FloatArray = _hits(matrix) / matrix[..., :-1].sum(axis=-2)
    return found


def _f1s(matrix: FloatArray) -> FloatArray:
    found: FloatArray = 2 * _hits(matrix) / (matrix.sum(axis=-1) + matrix[..., :-1].sum(axis=-2))
    return found


def _macro(each: _Formula) -> _Formula:
    return lambda matrix: each(matrix).mean(axis=-1)


def _weighted(each: _Formula) -> _Formula:
    def formula(matrix: FloatArray) -> FloatArray:
        support = matrix.sum(axis=-1)
        found: FloatArray = (each(matrix) * support).sum(axis=-1) / support.sum(axis=-1)
        return found

    return formula


def _correlation(matrix: FloatArray) -> FloatArray:
    """Matthews' coefficient of any number of classes (Gorodkin 2004), as scikit-learn computes it."""
    actual, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)
    n, k = actual.sum(axis=-1), actual.shape[-1]
    together = _hits(matrix).sum(axis=-1) * n - (actual * predicted[..., :k]).sum(axis=-1)
    spread = (n * n - (predicted**2).sum(axis=-1)) * (n * n - (actual**2).sum(axis=-1))
    found: FloatArray = together / np.sqrt(spread)
    return found
