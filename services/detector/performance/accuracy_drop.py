"""The rule that people write down: accuracy over 1,000 labels in a row is so much below the reference's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from services.detector.structs import FloatArray, IntArray

WIDTH = 1_000
EVERY = 100  # labels between two looks: each look is one more chance of a false alarm
STANDARD_ERRORS = 3.0


@dataclass(frozen=True, slots=True)
class AccuracyRule:
    """`degradation: {accuracy: {drop: …}}` against a reference accuracy over `labels` labels."""

    drop: float
    reference: float
    labels: int

    @property
    def threshold(self) -> float:
        """Return the accuracy below which the rule holds: the drop, and 3 standard errors of the difference."""
        variance = self.reference * (1.0 - self.reference)
        error = math.sqrt(variance / WIDTH + variance / max(self.labels, 1))
        return self.reference - max(self.drop, STANDARD_ERRORS * error)


class RecentAccuracy(msgspec.Struct):
    """Whether each of the last 1,000 labelled predictions was right."""

    labels: int = 0
    right: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(WIDTH, np.uint8))

    def update(self, errors: FloatArray) -> tuple[IntArray, FloatArray]:
        """Take error flags (1 wrong, 0 right, NaN not known) of labelled rows, in order.

        Returns the rows at which the rule may look (every 100th label, once 1,000 are known) and the accuracy there.
        """
        known = np.flatnonzero(~np.isnan(errors))
        start, count = self.labels, len(known)
        # The ring in order of time, oldest first, then the new rows: any window of 1,000 is a difference of sums.
        history = np.roll(self.right, -(start % WIDTH))
        series = np.concatenate([history, (errors[known] == 0.0).astype(np.uint8)])
        total = np.concatenate([[0], np.cumsum(series, dtype=np.int64)])
        numbers = np.arange(start + 1, start + count + 1)
        looks = np.flatnonzero((numbers % EVERY == 0) & (numbers >= WIDTH))
        accuracy = (total[looks + 1 + WIDTH] - total[looks + 1]) / WIDTH
        self.right[(start + np.arange(count)) % WIDTH] = series[WIDTH:]
        self.labels = start + count
        return known[looks], accuracy
