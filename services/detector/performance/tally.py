"""What a cohort adds up, and the metrics that follow from the sums.

Every sum can also be subtracted from, so that a corrected label replaces the one before.
Definitions and names are scikit-learn's; a metric without a denominator is None, never 0 and never NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from services.detector.banks.compiled import dense
from services.detector.baseline import Baseline
from services.detector.performance.metrics import confusion, curves, errors, rankings
from services.detector.performance.metrics.costs import cost_of
from services.detector.performance.metrics.row_costs import COSTS, binary_costs, class_costs
from services.detector.performance.metrics.scored import NO_SCORES, scored
from services.detector.performance.metrics.value import Metrics, Value, undefined
from services.detector.performance.selection import selected
from services.detector.signals.labelled import class_codes
from services.detector.structs import FloatArray, IntArray
from shared.cost import CostSpec
from shared.monitors import Task

MEDIAN = 0.5
MAX_CURVES = 20  # classes with an area under a curve of each; with more there is none
AREAS = {"roc_auc": curves.roc_auc, "average_precision": curves.average_precision}

Table = tuple[IntArray, IntArray, bool]  # negatives and positives by rising score, and whether scores share entries


@dataclass(frozen=True, slots=True)
class Contributions:
    """What labelled rows add to their cohorts."""

    index: IntArray  # [rows] of the count that each adds to; -1 for a row that has no place
    addends: FloatArray  # [rows, sums]
    scores: FloatArray  # [rows, curves]; NaN missing
    truths: FloatArray  # [rows, curves]; 1 for a label of the curve's class, 0 for another, NaN for none


@dataclass(frozen=True, slots=True)
class Tally:
    """The layout of a cohort's sums for one task.

    Classes are codes 0..K-1 of `classes`; a predicted class outside them is K. Counts are the confusion matrix
    (label x prediction, K x (K+1)) for classes, a row count for regression, and for rankings rows with a relevant item
    and rows without; sums are float64. A curve is of the positive class, or of each of several classes against the
    others.
    """

    task: Task
    classes: tuple[str, ...]
    positive: int = -1  # code of the positive class; binary only
    quantile: float = MEDIAN  # of `quantile_loss`; regression only
    prices: CostSpec | None = None  # of errors; binary only
    cutoffs: tuple[int, ...] = ()  # lengths at which lists are judged; rankings only
    sums: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        sums = {"regression": errors.SUMS, "ranking": rankings.sum_names(self.cutoffs)}.get(self.task, COSTS)
        object.__setattr__(self, "sums", sums)

    @classmethod
    def of(cls, baseline: Baseline, quantile: float | None, prices: CostSpec | None = None) -> Tally:
        """Return the layout of a model; `quantile` is what a regression predicts, None: the median."""
        positive = baseline.classes.index(baseline.positive) if baseline.positive in baseline.classes else -1
        classes, cutoffs = tuple(baseline.classes), tuple(baseline.cutoffs)
        return cls(baseline.task, classes, positive, quantile or MEDIAN, prices, cutoffs)

    @property
    def has_classes(self) -> bool:
        """Tell whether predictions and labels are classes."""
        return self.task in ("binary", "multiclass")

    @property
    def counts(self) -> int:
        """Return how many integers a cohort keeps."""
        if not self.has_classes:
            return 2 if self.task == "ranking" else 1
        return len(self.classes) * (len(self.classes) + 1)

    @property
    def curves(self) -> tuple[int, ...]:
        """Return the codes of the classes whose scores are counted."""
        if self.task == "binary":
            return (self.positive,)
        return tuple(range(len(self.classes))) if self.task == "multiclass" and len(self.classes) <= MAX_CURVES else ()

    def contributions(self, label: FloatArray, prediction: FloatArray, scores: FloatArray) -> Contributions:
        """Return what labelled rows add.

        For classes, `label` and `prediction` hold codes, NaN for a label that is no class of the baseline; `scores`,
        shape (rows, 1) or (rows, classes), are probabilities of the positive class or of every class, NaN missing. For
        rankings they are how many items are relevant and how many are listed, and the metrics of each row.
        """
        known = ~np.isnan(prediction - label)
        if self.task == "ranking":
            nothing = np.zeros((len(label), 0))
            return Contributions(np.where(known, label == 0, -1), rankings.addends(scores), nothing, nothing)
        if self.task == "regression":
            nothing = np.zeros((len(label), 0))
            return Contributions(np.where(known, 0, -1), errors.addends(label, prediction), nothing, nothing)
        index = np.full(len(label), -1, np.int64)
        index[known] = label[known] * (len(self.classes) + 1) + prediction[known]
        costs, scores = np.zeros((len(label), len(COSTS))), dense(scores, np.float64)
        truths = (label[:, np.newaxis] == np.array(self.curves, np.float64)).astype(np.float64)
        truths[~known] = np.nan
        if self.task == "binary":
            binary_costs(dense(scores[:, 0], np.float64), dense(label == self.positive, np.float64), costs)
        else:
            class_costs(scores, dense(np.where(known, label, np.nan), np.float64), costs)
        return Contributions(index, costs, scores if self.curves else truths, truths)

    def metrics(self, counts: IntArray, sums: FloatArray) -> Metrics:
        """Return every metric that follows from counts and sums, by its name."""
        named = dict(zip(self.sums, sums.tolist(), strict=True))
        if self.task == "regression":
            return errors.regression(int(counts[0]), named, self.quantile)
        if self.task == "ranking":
            return rankings.rankings(int(counts[0]), int(counts[1]), named, self.cutoffs)
        matrix = counts.reshape(len(self.classes), -1)
        if self.task == "multiclass":
            return confusion.multiclass(matrix, self.classes) | scored(named)
        found = confusion.binary(matrix, self.positive) | scored(named)
        if self.prices is not None:
            fn, fp = (int(found[name].value or 0.0) for name in ("fn", "fp"))
            found["cost"] = cost_of(self.prices, fn, fp, int(matrix.sum()))
        return found

    @property
    def predictions(self) -> int:
        """Return how many kinds of predictions a cohort counts when they are served: each class, and any other."""
        return len(self.classes) + 1 if self.has_classes else 0

    def predicted(self, column: pa.Array) -> IntArray:
        """Return the code of each served prediction, -1 where there is none; K for a class that is none."""
        if not self.has_classes:
            return np.full(len(column), -1, np.int64)
        (codes,) = class_codes(self.classes, (column,))
        return np.minimum(codes, len(self.classes)).astype(np.int64)

    def selected(self, metrics: Metrics, counts: IntArray, served: IntArray) -> Metrics:
        """Return metrics with the bias of which predictions have labels; see `selection.selected`."""
        if not self.has_classes:
            return metrics
        return selected(metrics, counts.reshape(len(self.classes), -1), served, self.classes, self.positive)

    def areas(self, tables: Sequence[Table]) -> Metrics:
        """Return the areas under the curves, from each curve's table; of several classes their mean."""
        if not self.has_classes:
            return {}
        if self.task == "binary":
            return {name: _area(name, *tables[0]) for name in AREAS}
        why = f"more than {MAX_CURVES} classes"
        return {
            f"{name}_macro": _mean([_area(name, *table) for table in tables]) if tables else undefined(why)
            for name in AREAS
        }


def _area(name: str, negatives: IntArray, positives: IntArray, in_bins: bool) -> Value:
    if not len(negatives):
        return undefined(NO_SCORES)
    note = f"in bins, within {curves.unordered(negatives, positives):.2g}" if in_bins and name == "roc_auc" else ""
    return AREAS[name](negatives, positives, note or ("in bins" if in_bins else ""))


def _mean(areas: Sequence[Value]) -> Value:
    """Return the mean of areas; the mean of their intervals is no narrower than its own, however they depend."""
    missing = next((area for area in areas if area.value is None), None)
    if missing is not None:
        return missing
    value, low, high = (
        None if None in ends else sum(end for end in ends if end is not None) / len(areas)
        for ends in zip(*((area.value, area.low, area.high) for area in areas), strict=True)
    )
    return Value(value, low, high, next((area.note for area in areas if area.note), ""))
