"""What the naive rules look at: a model's recorded stream beside its reference, column by column.

Features, prediction and score of all traffic, of the kinds that the reference gives them; no segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from services.cli.demo.order import Event
from services.detector.reference_table import ReferenceColumn, ReferenceTable
from services.detector.structs import FloatArray, IntArray
from shared.events.block import LABEL, PREDICTION
from shared.events.label import Label
from shared.events.prediction import Prediction, Scalar
from shared.values import class_text

QUANTILES = np.arange(1, 10) / 10
NO_BIN = -1


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of the stream, a value a row, and of the reference.

    The bins of a numeric column are ten quantiles of the reference, right-closed, equal edges merged; a missing value
    is in none. Those of a categorical column are its levels, the stream's new ones and missing included.
    """

    name: str
    is_numeric: bool
    values: FloatArray  # as they came, a boolean as 0 or 1; NaN is missing, or a text
    reference: FloatArray  # values that are not missing; empty where the column is categorical
    bins: IntArray  # of each row; NO_BIN is in none
    reference_counts: IntArray  # by bin


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The labelled predictions, in the order in which their labels came."""

    is_regression: bool
    losses: FloatArray  # 1 wrong, 0 right; of a regression the squared error
    rows: IntArray  # of the last prediction that was made before the label came
    reference_losses: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """One model's stream."""

    columns: Sequence[Column]
    answers: Answers


def traffic(events: Iterable[Event], reference: ReferenceTable) -> Traffic:
    """Return the columns of a binary or regression set's events, which come in the order of its own time."""
    predictions: dict[str, Prediction] = {}
    labelled: list[tuple[Scalar, Scalar]] = []
    rows: list[int] = []
    decode_prediction = msgspec.json.Decoder(Prediction).decode
    decode_label = msgspec.json.Decoder(Label).decode
    for event in events:
        if not event.is_label:
            predictions[event.request_id] = decode_prediction(event.value)
        elif event.request_id in predictions:
            prediction = predictions[event.request_id].prediction
            label = decode_label(event.value).label
            if prediction is None or isinstance(prediction, list) or isinstance(label, (dict, list)):
                continue  # the model gave no answer, or one that has no naive rule
            labelled.append((prediction, label))
            rows.append(len(predictions) - 1)
    made = list(predictions.values())
    columns = [
        _column(column, [_raw(column, prediction, reference) for prediction in made]) for column in reference.columns()
    ]
    return Traffic(columns, _answers(labelled, rows, reference))


def numeric(name: str, values: FloatArray, reference: FloatArray) -> Column:
    """Return a column of numbers; NaN is missing."""
    known = reference[~np.isnan(reference)]
    edges = np.unique(np.quantile(known, QUANTILES)) if known.size else np.zeros(0)
    bins = np.searchsorted(edges, values, side="left").astype(np.int64)
    bins[np.isnan(values)] = NO_BIN
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=edges.size + 1)
    return Column(name, True, values, known, bins, counts)


def categorical(name: str, values: Sequence[Scalar | None], reference: Sequence[str | None]) -> Column:
    """Return a column of categories; `reference` holds class texts, None is missing."""
    levels: dict[str | None, int] = {}
    counted = [levels.setdefault(text, len(levels)) for text in reference]
    texts = [None if value is None else class_text(value) for value in values]
    bins = np.array([levels.setdefault(text, len(levels)) for text in texts], np.int64)
    return Column(name, False, _numbers(values), np.zeros(0), bins, np.bincount(counted, minlength=len(levels)))


def _column(column: ReferenceColumn, values: Sequence[Scalar | None]) -> Column:
    if column.is_numeric:
        return numeric(column.name, _numbers(values), column.values)
    texts: list[str | None] = [*column.texts, None]  # the last place, code -1, is missing's
    return categorical(column.name, values, [texts[code] for code in column.codes.tolist()])


def _raw(column: ReferenceColumn, prediction: Prediction, reference: ReferenceTable) -> Scalar | None:
    if column.role == "feature":
        return prediction.features.get(column.name)
    if column.role == "prediction":
        return None if isinstance(prediction.prediction, list) else prediction.prediction
    scores = prediction.scores
    return scores.get(reference.spec.positive) if isinstance(scores, dict) else scores


def _numbers(values: Sequence[Scalar | None]) -> FloatArray:
    return np.array([np.nan if value is None or isinstance(value, str) else value for value in values], np.float64)


def _squared_errors(predictions: FloatArray, labels: FloatArray) -> FloatArray:
    squares: FloatArray = (predictions - labels) ** 2
    return squares


def _mistakes(predictions: Iterable[str], labels: Iterable[str]) -> FloatArray:
    return np.array([a != b for a, b in zip(predictions, labels, strict=True)], np.float64)


def _answers(labelled: Sequence[tuple[Scalar, Scalar]], rows: Sequence[int], reference: ReferenceTable) -> Answers:
    given, true = [answer for answer, _ in labelled], [label for _, label in labelled]
    is_regression = reference.spec.task == "regression"
    if is_regression:
        losses = _squared_errors(_numbers(given), _numbers(true))
        reference_losses = _squared_errors(reference.numbers(PREDICTION), reference.numbers(LABEL))
    else:
        losses = _mistakes(map(class_text, given), map(class_text, true))
        reference_losses = _mistakes(_texts(reference, PREDICTION), _texts(reference, LABEL))
    return Answers(is_regression, losses, np.array(rows, np.int64), reference_losses)


def _texts(reference: ReferenceTable, name: str) -> Iterable[str]:
    codes, texts = reference.texts(name)
    return (texts[code] for code in codes.tolist())
