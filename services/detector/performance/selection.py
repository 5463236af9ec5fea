"""Which predictions have labels: where that depends on what was predicted, labels are no fair sample of predictions.

A bank learns of the loans that it granted, a fraud team of the payments that it looked at. Metrics of such labels are
biased. To count each label as often as its predicted class has predictions for a label mends what the predicted class
explains of it (Horvitz and Thompson, A generalization of sampling without replacement from a finite universe, 1952).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from services.detector.performance.metrics import confusion
from services.detector.performance.metrics.value import Metrics, around, undefined
from services.detector.statistics.proportions import wilson
from services.detector.structs import FloatArray, IntArray

UNEVEN = 2.0  # the largest share of labels among predicted classes to the least, from which labels are no fair sample
WEIGHTED = "_ipw"  # behind the name of a metric: weighted by the inverse of the share of labels
_OTHER = "any other class"
_UNTOUCHED = "precision"  # metrics that begin with it are of one predicted class each


def selected(metrics: Metrics, matrix: IntArray, served: IntArray, classes: Sequence[str], positive: int) -> Metrics:
    """Return metrics with what they suffer from: a note in each, and estimates without the bias beside them.

    matrix: labels x predictions, shape (K, K + 1); served: [K + 1] predictions of each class, the last of any other.
    """
    why = unevenness(matrix.sum(axis=0), served, [*classes, _OTHER])
    if not why:
        return metrics
    untouched = {name: value for name, value in metrics.items() if name.startswith(_UNTOUCHED)}
    return noted(metrics, why) | untouched | _weighted(matrix, served, classes, positive)


def noted(metrics: Metrics, why: str) -> Metrics:
    """Return metrics each of which says what it suffers from."""
    return {
        name: msgspec.structs.replace(value, note=f"{value.note}; {why}" if value.note else why)
        for name, value in metrics.items()
    }


def unevenness(labelled: IntArray, served: IntArray, names: Sequence[str]) -> str:
    """Return in words how the share of labels differs between parts of predictions; empty where it hardly does.

    It does where the largest share is more than twice the least and chance alone does not bring that about.
    """
    present = np.flatnonzero(served).tolist()
    if len(present) < 2:
        return ""
    shares = {code: int(labelled[code]) / int(served[code]) for code in present}
    most, least = max(present, key=shares.__getitem__), min(present, key=shares.__getitem__)
    if shares[most] <= UNEVEN * shares[least]:
        return ""
    (low, _), (_, high) = (wilson(int(labelled[code]), int(served[code])) for code in (most, least))
    if low <= high:
        return ""
    return (
        f"biased by selection: labels of {shares[least]:.0%} of the predictions of {names[least]}, "
        f"of {shares[most]:.0%} of {names[most]}"
    )


def _weighted(matrix: IntArray, served: IntArray, classes: Sequence[str], positive: int) -> Metrics:
    labelled = matrix.sum(axis=0)
    of_class = zip([*classes, _OTHER], labelled.tolist(), served.tolist(), strict=True)
    unknown = next((name for name, n, of in of_class if of and not n), None)
    if unknown is not None:
        return {f"accuracy{WEIGHTED}": undefined(f"no prediction of {unknown} has a label")}
    weights = served / np.maximum(labelled, 1)
    whole: FloatArray = matrix * weights
    found = confusion.estimates(whole, positive)
    hits = np.append(np.diagonal(matrix), 0)
    shares = hits / np.maximum(labelled, 1)
    variance = (served / served.sum()) ** 2 * shares * (1.0 - shares) / np.maximum(labelled, 1)
    accuracy = around(float((served * shares).sum() / served.sum()), math.sqrt(float(variance.sum())), 0.0, 1.0)
    return {f"{name}{WEIGHTED}": value for name, value in ({"accuracy": accuracy} | found).items()}
