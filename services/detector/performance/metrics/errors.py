"""Metrics of a regression, from sums over its errors (prediction - label)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from services.detector.banks.compiled import dense
from services.detector.performance.metrics.row_costs import log_errors
from services.detector.performance.metrics.value import Metrics, Value, around, mean, undefined
from services.detector.structs import FloatArray

SUMS = (
    "absolute",
    "squared",
    "signed",
    "label",
    "label_squared",
    "fourth",
    "relative",  # |error / label|, of labels that are not 0
    "relative_squared",
    "relative_rows",
    "symmetric",  # 2 |error| / (|label| + |prediction|); 0 where both are 0
    "symmetric_squared",
    "log_squared",  # of log(1 + prediction) - log(1 + label), where both are above -1
    "log_fourth",
    "log_rows",
)
_LARGEST_SQUARE = 1e145  # its square can still be summed; errors beyond make intervals too narrow, and no value wrong


def addends(label: FloatArray, prediction: FloatArray) -> FloatArray:
    """Return each row's addends, shape (rows, sums); NaN where the label or the prediction is missing."""
    error = prediction - label
    size, square = np.abs(error), error * error
    found = np.zeros((len(label), len(SUMS)))
    found[:, :5] = np.stack([size, square, error, label, label * label], axis=1)
    found[:, 5] = np.minimum(square, _LARGEST_SQUARE) ** 2
    has_ratio = label != 0.0
    relative = np.divide(size, np.abs(label), out=np.zeros_like(size), where=has_ratio)
    found[:, 6:9] = np.stack([relative, np.minimum(relative * relative, _LARGEST_SQUARE**2), has_ratio], axis=1)
    both = np.abs(label) + np.abs(prediction)
    symmetric = np.divide(2.0 * size, both, out=np.zeros_like(size), where=both != 0.0)
    found[:, 9:11] = np.stack([symmetric, symmetric * symmetric], axis=1)
    logs = np.zeros((len(label), 3))
    log_errors(dense(label, np.float64), dense(prediction, np.float64), logs)
    found[:, 11:] = logs
    return found


def regression(n: int, sums: Mapping[str, float], quantile: float) -> Metrics:
    """Return every metric of n labelled rows; `quantile` is what `quantile_loss` is the loss of."""
    none = "no labels"
    mse = mean(sums["squared"], sums["fourth"], n, none)
    logs = mean(sums["log_squared"], sums["log_fourth"], n, none)
    if n and sums["log_rows"] < n:
        logs = undefined(f"{n - int(sums['log_rows'])} labels or predictions are -1 or less")
    above, below = (sums["absolute"] - sums["signed"]) / 2, (sums["absolute"] + sums["signed"]) / 2
    return {
        "mae": mean(sums["absolute"], sums["squared"], n, none),
        "mse": mse,
        "rmse": root(mse),
        "mean_error": mean(sums["signed"], sums["squared"], n, none),
        "mape": _mape(n, sums),
        "smape": mean(sums["symmetric"], sums["symmetric_squared"], n, none),
        "rmsle": root(logs),
        "r2": _r2(n, sums),
        "quantile_loss": Value((quantile * above + (1.0 - quantile) * below) / n) if n else undefined(none),
    }


def root(square: Value) -> Value:
    """Return the root of a mean square; the interval's ends are the roots of its ends."""
    if square.value is None:
        return square
    low, high = (None if end is None else math.sqrt(max(end, 0.0)) for end in (square.low, square.high))
    return Value(math.sqrt(square.value), low, high)


def _mape(n: int, sums: Mapping[str, float]) -> Value:
    rows = int(sums["relative_rows"])
    found = mean(sums["relative"], sums["relative_squared"], rows, "every label is 0" if n else "no labels")
    if found.value is None or rows == n:
        return found
    return Value(found.value, found.low, found.high, f"without {n - rows} labels that are 0")


def _r2(n: int, sums: Mapping[str, float]) -> Value:
    if not n:
        return undefined("no labels")
    spread = sums["label_squared"] - sums["label"] ** 2 / n
    if spread <= 0.0:
        return undefined("all labels are the same")
    return around(1.0 - sums["squared"] / spread, math.nan)
