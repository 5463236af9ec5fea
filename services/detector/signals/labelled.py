"""What labels say of predictions: one flag per monitor and row, and signed residuals.

Classes are codes: 0..K-1 of the baseline's classes, K and above for any other text (equal texts have equal codes inside
one block), -1 missing. A flag is 1 for an error, 0 for none, NaN where the monitor does not apply to the row: false
negatives are flags of rows with a positive label, false positives of rows with another label, `error:<class>` of rows
with that label. `ndcg_loss@k` of a ranking is anything from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from services.detector.baseline import Baseline
from services.detector.performance.metrics.rankings import lengths, metric_names, row_metrics
from services.detector.ranks import Ranking, normal_scores
from services.detector.segments import Memberships
from services.detector.signals.columns import Codes, is_number, lists, numbers, scalars, translated
from services.detector.signals.monitored import ERROR, ERROR_OF, FALSE_NEGATIVE, FALSE_POSITIVE, NDCG_LOSS
from services.detector.structs import FloatArray
from shared.definition import score_columns
from shared.events.block import ITEMS, LABEL, PREDICTION
from shared.events.ranking import GAIN_BYTES, ITEM_BYTES


@dataclass(frozen=True, slots=True)
class LabelledSignals:
    """Labelled rows as arrays; NaN is missing or undefined, nothing else is not finite."""

    cells: Memberships  # [rows, memberships]
    flags: FloatArray  # [rows, monitors] in the order of the baseline's monitors
    labels: FloatArray  # [rows] code of a class of the baseline, or the value, or relevant items; NaN for other classes
    predictions: FloatArray  # [rows] code of a class, K for any other; or the value, or how many items are listed
    scores: FloatArray  # [rows, score columns] of the positive class, or of each; of a ranking metrics; NaN missing
    residuals: FloatArray  # [rows] prediction - label; NaN for classes
    residual_ranks: FloatArray  # [rows] mid-rank of the residual among the reference's
    residual_scores: FloatArray  # [rows] its normal score


class LabelledPlan:
    """Turns labelled and corrected rows into `LabelledSignals`."""

    def __init__(self, baseline: Baseline) -> None:
        performance = baseline.performance
        self._baseline = baseline
        self._scores = score_columns(baseline.task, baseline.classes)
        self._monitors = [] if performance is None else [monitor.name for monitor in performance.monitors]
        self._high_error = np.nan if performance is None else performance.high_error
        residual = None if performance is None else performance.residual
        self._ranking = None if residual is None else Ranking(residual)

    def signals(self, batch: pa.RecordBatch, cells: Memberships, label: str = LABEL) -> LabelledSignals:
        """Return the signals of a block; `label` names the column of labels (a correction replaces an older one)."""
        if self._baseline.task == "regression":
            return self._values(batch, cells, label)
        if self._baseline.task == "ranking":
            return self._rankings(batch, cells, label)
        return self._classes(batch, cells, label)

    def _classes(self, batch: pa.RecordBatch, cells: Memberships, label: str) -> LabelledSignals:
        known = len(self._baseline.classes)
        predicted, actual = class_codes(self._baseline.classes, (scalars(batch, PREDICTION), scalars(batch, label)))
        nothing = np.full(batch.num_rows, np.nan)
        given = batch.schema.names
        scores = [numbers(batch.column(name)) if name in given else nothing for name in self._scores]
        return LabelledSignals(
            cells=cells,
            flags=class_flags(self._monitors, self._baseline.classes, self._baseline.positive, predicted, actual),
            labels=np.where((actual < 0) | (actual >= known), np.nan, actual),
            predictions=np.where(predicted < 0, np.nan, np.minimum(predicted, known)),
            scores=np.column_stack(scores),
            residuals=nothing,
            residual_ranks=nothing,
            residual_scores=nothing,
        )

    def _values(self, batch: pa.RecordBatch, cells: Memberships, label: str) -> LabelledSignals:
        predictions, labels = _values_of(scalars(batch, PREDICTION)), _values_of(scalars(batch, label))
        residuals = difference(predictions, labels)
        ranks = np.full(batch.num_rows, np.nan) if self._ranking is None else self._ranking.place(residuals)[1]
        return LabelledSignals(
            cells=cells,
            flags=size_flags(self._monitors, residuals, self._high_error),
            labels=labels,
            predictions=predictions,
            scores=np.zeros((batch.num_rows, 0)),
            residuals=residuals,
            residual_ranks=ranks,
            residual_scores=normal_scores(ranks),
        )

    def _rankings(self, batch: pa.RecordBatch, cells: Memberships, label: str) -> LabelledSignals:
        items, gains = lists(batch, ITEMS), lists(batch, label)
        metrics = row_metrics(items, gains, self._baseline.cutoffs)
        nothing = np.full(batch.num_rows, np.nan)
        return LabelledSignals(
            cells=cells,
            flags=ndcg_losses(self._monitors, metrics, self._baseline.cutoffs),
            labels=lengths(gains, GAIN_BYTES),
            predictions=lengths(items, ITEM_BYTES),
            scores=metrics,
            residuals=nothing,
            residual_ranks=nothing,
            residual_scores=nothing,
        )


def class_codes(classes: Sequence[str], columns: Sequence[pa.Array]) -> list[Codes]:
    """Return each column's codes; texts that are no class are numbered on from the classes, alike in all columns."""
    places = {text: place for place, text in enumerate(classes)}
    return [translated(column, lambda text: places.setdefault(text, len(places)), -1) for column in columns]


def class_flags(
    monitors: Sequence[str], classes: Sequence[str], positive: str, predicted: Codes, actual: Codes
) -> FloatArray:
    """Return the flags of class tasks, shape (rows, monitors)."""
    wrong = np.where((predicted < 0) | (actual < 0), np.nan, predicted != actual)
    places = {text: place for place, text in enumerate(classes)}
    target = places.get(positive, -2)
    negative = (actual >= 0) & (actual != target) & (predicted >= 0)
    flags = np.full((actual.size, len(monitors)), np.nan)
    for column, monitor in enumerate(monitors):
        if monitor == ERROR:
            flags[:, column] = wrong
        elif monitor == FALSE_NEGATIVE:
            flags[:, column] = np.where(actual == target, wrong, np.nan)
        elif monitor == FALSE_POSITIVE:
            flags[:, column] = np.where(negative, predicted == target, np.nan)
        else:
            flags[:, column] = np.where(actual == places[monitor.removeprefix(ERROR_OF)], wrong, np.nan)
    return flags


def size_flags(monitors: Sequence[str], residuals: FloatArray, high_error: float) -> FloatArray:
    """Return the flags of a regression, shape (rows, monitors): |prediction - label| above the reference's q90."""
    high = np.where(np.isnan(residuals), np.nan, np.abs(residuals) > high_error)
    return np.repeat(high[:, None], len(monitors), axis=1)


def ndcg_losses(monitors: Sequence[str], metrics: FloatArray, cutoffs: Sequence[int]) -> FloatArray:
    """Return 1 - NDCG at each monitor's length, shape (rows, monitors).

    metrics: [rows, metrics], as `row_metrics` gives them. Losses are rounded to what the last labels are kept in, so
    that one says the same whether it has just come or is looked up.
    """
    names = metric_names(cutoffs)
    places = [names.index(f"ndcg@{monitor.removeprefix(NDCG_LOSS)}") for monitor in monitors]
    return (1.0 - metrics[:, places]).astype(np.float32).astype(np.float64)


def difference(predictions: FloatArray, labels: FloatArray) -> FloatArray:
    """Return prediction - label; NaN where either is missing or the difference is no finite number."""
    with np.errstate(over="ignore"):
        residuals = predictions - labels
    residuals[~np.isfinite(residuals)] = np.nan
    return residuals


def _values_of(column: pa.Array) -> FloatArray:
    """Return a column of numbers; a column of texts, left from an older configuration, is all missing."""
    return numbers(column) if is_number(column.type) else np.full(len(column), np.nan)
