"""What served rows should turn out to be, by chances and expected losses, and the metrics that follow.

The metrics are those of labels, of a confusion matrix of chances: each row is every label, as likely as that is.
Intervals are of where the metric of this many labels would lie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.baseline import Baseline
from services.detector.estimates.calibration import normalised
from services.detector.estimates.loss_tree import losses_of
from services.detector.estimates.reference import LossTree
from services.detector.performance.metrics import confusion, curves
from services.detector.performance.metrics.errors import root
from services.detector.performance.metrics.value import Metrics, Value, mean, rate, undefined
from services.detector.performance.score_bins import score_edges
from services.detector.signals.plan import Signals
from services.detector.structs import FloatArray, IntArray
from shared.definition import score_columns
from shared.events.block import PREDICTION
from shared.values import MISSING_LEVEL

PREFIX = "estimated_"
ESTIMATES = "estimates"  # as heartbeats and reports name them
MAX_MATRIX = 20  # classes with a matrix of their own; with more there is the accuracy
AREAS = ("roc_auc", "average_precision")
ENDS = 3  # of an area: its value, and both ends of its interval
_HEAD, _LOSSES = 3, 6  # sums of classes before the matrix, and sums of a regression
_NO_CLASSES, _NO_BINS = np.zeros(0, np.int64), np.zeros((0, 0), np.int64)
NO_LABELS = "the reference has no predictions with labels"
NOTHING = "no prediction has what estimates need"


@dataclass(frozen=True, slots=True)
class Expected:
    """Served rows as their cohorts take them; NaN in the first column for a row of which nothing is expected."""

    chances: FloatArray  # [rows, classes] of each label; or [rows, 3]: expected |error|, its square and fourth power
    predicted: IntArray  # [rows] code of a class, the number of classes for any other; empty for a regression
    bins: IntArray  # [rows, curves] of the scores


class Expectation:
    """How the rows of one model are estimated under its baseline, or in `why_not` why they are not. Stateless."""

    def __init__(self, baseline: Baseline) -> None:
        reference = baseline.estimates
        self.reference = None if reference is None or reference.reason else reference
        self._task = baseline.task
        self._has_classes = baseline.task in ("binary", "multiclass")
        self._classes = ("", baseline.positive) if baseline.task == "binary" else tuple(baseline.classes)
        places = {column.name: place for place, column in enumerate(baseline.columns)}
        numeric = {place: series for series, place in enumerate(baseline.numeric)}
        self._prediction = places.get(PREDICTION, -1)
        self._values_of_prediction = numeric.get(self._prediction, -1)
        sources = {column.source: place for place, column in enumerate(baseline.columns)}
        scores = [sources.get(source, -1) for source in score_columns(baseline.task, baseline.classes)]
        self._scores = [numeric.get(place, -1) for place in scores]
        self.why_not = "" if reference is None else reference.reason
        if reference is None:
            self.why_not = NO_LABELS
        elif not self.why_not and self.reference is not None and (self._prediction < 0 or -1 in self._scores):
            self.why_not, self.reference = "the baseline has no columns of prediction and scores", None
        self._codes = self._class_codes(baseline)
        self.curves = self._curves()
        self.edges = score_edges(baseline, [1] if self._task == "binary" else self.curves)
        tree = None if self.reference is None else self.reference.tree
        self._inputs = [] if tree is None else _inputs(tree, baseline, places, numeric)

    @property
    def width(self) -> int:
        """Return how many sums a cohort has; 0 where nothing is estimated."""
        if self.reference is None:
            return 0
        if self._task == "regression":
            return _LOSSES
        classes = len(self._classes)
        return _HEAD + (classes * (classes + 1) if classes <= MAX_MATRIX else 0)

    def _class_codes(self, baseline: Baseline) -> IntArray:
        """Return the class of each code of the prediction's column, the last one of what the reference never saw."""
        if not self._has_classes or self._prediction < 0:
            return np.zeros(0, np.int64)
        known = {name: code for code, name in enumerate(self._classes)}
        other = 0 if self._task == "binary" else len(self._classes)
        levels = baseline.columns[self._prediction].levels
        found = [known.get(level, other if level in baseline.classes else len(self._classes)) for level in levels]
        found = [-1 if level == MISSING_LEVEL else code for level, code in zip(levels, found, strict=True)]
        return np.array([*found, len(self._classes), -1], np.int64)  # of a level, of any other, of a missing one

    def _curves(self) -> list[int]:
        if self.reference is None or not self._has_classes or len(self._classes) > MAX_MATRIX:
            return []
        return [1] if self._task == "binary" else list(range(len(self._classes)))

    def of(self, signals: Signals) -> Expected:
        """Return what served rows add."""
        if not self._has_classes:
            return self._losses(signals)
        reference = self.reference
        scores = signals.values[:, self._scores]
        chances = [c.of(scores[:, at]) for at, c in enumerate(reference.calibrations if reference else [])]
        each = np.column_stack([1.0 - chances[0], chances[0]]) if self._task == "binary" else normalised(chances)
        predicted = self._codes[signals.codes[:, self._prediction]]
        each[(predicted < 0) | np.isnan(each).any(axis=1)] = np.nan
        bins = np.zeros((len(predicted), len(self.curves)), np.int64)
        for curve, edges in enumerate(self.edges[: len(self.curves)]):
            bins[:, curve] = np.searchsorted(edges, scores[:, curve])
        return Expected(dense(each, np.float64), predicted, bins)

    def _losses(self, signals: Signals) -> Expected:
        tree = None if self.reference is None else self.reference.tree
        if tree is None:
            return Expected(np.full((len(signals.codes), 3), np.nan), _NO_CLASSES, _NO_BINS)
        inputs = np.empty((len(signals.codes), len(self._inputs)))
        for at, (place, series, ranks) in enumerate(self._inputs):
            inputs[:, at] = (
                signals.values[:, series] if series >= 0 else ranks[signals.codes[:, place] if place >= 0 else -1]
            )
        losses = losses_of(tree, inputs)
        losses[np.isnan(signals.values[:, self._values_of_prediction])] = np.nan
        return Expected(losses, _NO_CLASSES, _NO_BINS)

    def metrics(self, sums: FloatArray, areas: FloatArray | None = None) -> Metrics:
        """Return every estimated metric by its name.

        areas: [areas, 3], value and ends of those under curves, NaN where there is none; None where none are estimated.
        """
        n = float(sums[0])
        if self._task == "regression":
            squared = mean(float(sums[2]), float(sums[3]), n, NOTHING)
            found = {"mae": mean(float(sums[1]), float(sums[2]), n, NOTHING), "mse": squared, "rmse": root(squared)}
        elif self._task == "binary":
            found = confusion.binary(sums[_HEAD:].reshape(2, 3), 1)
        elif len(self._classes) <= MAX_MATRIX:
            found = confusion.multiclass(sums[_HEAD:].reshape(len(self._classes), -1), self._classes)
        else:
            found = {"accuracy": rate(float(sums[1]), n, NOTHING)}
        if areas is not None:
            suffix = "" if self._task == "binary" else "_macro"
            found |= {f"{name}{suffix}": _area(area) for name, area in zip(AREAS, areas.tolist(), strict=True)}
        return {f"{PREFIX}{name}": value for name, value in found.items()}

    def loss(self, sums: FloatArray) -> tuple[float, float]:
        """Return the expected loss of a row, and the variance of that among the rows; NaN where there are none."""
        n = float(sums[0])
        if not n:
            return math.nan, math.nan
        if self._task == "regression":
            found = float(sums[1]) / n
            return found, max(float(sums[4]) / n - found * found, 0.0)
        found = float(sums[1]) / n
        return 1.0 - found, max(float(sums[2]) / n - found * found, 0.0)

    def areas(self, bins: FloatArray) -> FloatArray:
        """Return the areas under curves, [areas, 3], from [curves, bins, 2]; see `add_bins`."""
        found = np.full((len(AREAS), ENDS), np.nan)
        for place, area in enumerate((curves.roc_auc, curves.average_precision)):
            each = [area(*held[held.sum(axis=1) > 0.0].T) for held in bins]
            values = [(v.value, v.low, v.high) for v in each]
            if each and all(None not in of for of in values):
                found[place] = np.array(values, np.float64).mean(axis=0)
        return found


def _inputs(
    tree: LossTree, baseline: Baseline, places: dict[str, int], numeric: dict[int, int]
) -> list[tuple[int, int, FloatArray]]:
    """Return of each column of a tree its place among the columns, among the numbers, and the ranks of its codes."""
    found: list[tuple[int, int, FloatArray]] = []
    for name, levels in zip(tree.columns, tree.levels, strict=True):
        ranks = {level: float(rank) for rank, level in enumerate(levels)}
        place = places.get(name, -1)  # an accepted change may have left the column out: then it is missing
        known = [] if place < 0 else baseline.columns[place].levels
        codes = [ranks.get(level, math.nan) for level in known]
        found.append((place, numeric.get(place, -1), np.array([*codes, math.nan, math.nan])))
    return found


def _area(area: Sequence[float]) -> Value:
    value, low, high = area
    return undefined(NOTHING) if math.isnan(value) else Value(value, low, high)


@kernel
def add_classes(sums: FloatArray, chances: FloatArray, predicted: IntArray, rows: IntArray) -> None:
    """Add rows, in order, to [sums]: rows, chances of being right, their squares, and the matrix label x prediction."""
    classes = chances.shape[1]
    for place in range(rows.shape[0]):
        row = rows[place]
        if math.isnan(chances[row, 0]):
            continue
        right = chances[row, predicted[row]] if predicted[row] < classes else 0.0
        sums[0] += 1.0
        sums[1] += right
        sums[2] += right * right
        if sums.shape[0] > 3:
            for code in range(classes):
                sums[3 + code * (classes + 1) + predicted[row]] += chances[row, code]


@kernel
def add_losses(sums: FloatArray, losses: FloatArray, rows: IntArray) -> None:
    """Add rows, in order, to [sums]: rows, |error|, its square, its fourth power, and squares of the first two."""
    for place in range(rows.shape[0]):
        row = rows[place]
        size, square = losses[row, 0], losses[row, 1]
        if not math.isnan(size):
            sums[0] += 1.0
            sums[1] += size
            sums[2] += square
            sums[3] += losses[row, 2]
            sums[4] += size * size
            sums[5] += square * square


@kernel
def add_bins(bins: FloatArray, chances: FloatArray, codes: IntArray, places: IntArray, rows: IntArray) -> None:
    """Add rows, in order, to [curves, bins, 2]: the chances of the other labels and of the curve's, by its score."""
    for place in range(rows.shape[0]):
        row = rows[place]
        if not math.isnan(chances[row, 0]):
            for curve in range(codes.shape[0]):
                chance = chances[row, codes[curve]]
                bins[curve, places[row, curve], 0] += 1.0 - chance
                bins[curve, places[row, curve], 1] += chance


def add(sums: FloatArray, expected: Expected, rows: IntArray) -> None:
    """Add rows to the sums of one cohort."""
    if expected.predicted.size:
        add_classes(sums, expected.chances, expected.predicted, rows)
    else:
        add_losses(sums, expected.chances, rows)
