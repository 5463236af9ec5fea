"""Losses of labelled rows from 0 to 1, in whole hundredths: what versions are compared by.

| metric | loss of a row |
|---|---|
| `error` | 1 where the predicted class is not the label |
| `loss` | Brier: the squared error of the probability; of several classes, half of their sum |
| `absolute_error` | the size of the error, 1 at the bound and beyond |
| `ndcg_loss` | 1 - NDCG at the length that is watched; none where no item is relevant |

Where the mean of a loss has no bound, one row could undo what all others say, so a bound belongs to the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.detector.challengers.betting import STEPS
from services.detector.performance.metrics.rankings import row_metrics
from services.detector.signals.columns import is_number, lists, numbers, scalars
from services.detector.signals.labelled import class_codes, difference
from services.detector.structs import FloatArray
from shared.events.block import ITEMS, LABEL, PREDICTION

MISSING = -1  # no loss: a part of it is not there

Hundredths = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Loss:
    """How the loss of a row is found."""

    metric: str
    classes: tuple[str, ...] = ()
    positive: str | None = None  # of a binary task
    scores: tuple[str, ...] = ()  # block columns
    cutoff: int = 0  # of a ranking
    bound: float = 1.0  # in units of the metric; 0: not known, and no row has a loss

    def of(self, batch: pa.RecordBatch) -> Hundredths:
        """Return each labelled row's loss; MISSING where it has none."""
        match self.metric:
            case "error":
                predicted, actual = class_codes(self.classes, (scalars(batch, PREDICTION), scalars(batch, LABEL)))
                wrong = np.where(predicted != actual, 1.0, 0.0)
                return _hundredths(np.where((predicted < 0) | (actual < 0), np.nan, wrong))
            case "loss":
                return _hundredths(self._brier(batch))
            case "ndcg_loss":
                metrics = row_metrics(lists(batch, ITEMS), lists(batch, LABEL), [self.cutoff])
                return _hundredths(1.0 - metrics[:, 0])
            case _:
                return _hundredths(self._size(batch))

    def _brier(self, batch: pa.RecordBatch) -> FloatArray:
        nothing = np.full(batch.num_rows, np.nan)
        if not self.scores or any(name not in batch.schema.names for name in self.scores):
            return nothing
        (actual,) = class_codes(self.classes, (scalars(batch, LABEL),))
        scores = np.column_stack([numbers(batch.column(name)) for name in self.scores])
        known = (actual >= 0) & (actual < len(self.classes))
        named = self.classes if self.positive is None else (self.positive,)
        places = np.array([self.classes.index(name) if name in self.classes else -1 for name in named])
        squared = (scores - (actual[:, None] == places[None, :])) ** 2
        total = np.zeros(batch.num_rows)
        for column in squared.T:
            total += column
        found: FloatArray = np.where(known, total if self.positive is not None else total / 2, np.nan)
        return found

    def _size(self, batch: pa.RecordBatch) -> FloatArray:
        predictions, labels = scalars(batch, PREDICTION), scalars(batch, LABEL)
        if self.bound <= 0 or not is_number(predictions.type) or not is_number(labels.type):
            return np.full(batch.num_rows, np.nan)
        found: FloatArray = np.minimum(np.abs(difference(numbers(predictions), numbers(labels))) / self.bound, 1.0)
        return found


def _hundredths(losses: FloatArray) -> Hundredths:
    clipped = np.clip(np.rint(losses * STEPS), 0, STEPS)
    return np.where(np.isnan(clipped), MISSING, np.nan_to_num(clipped)).astype(np.int64)
