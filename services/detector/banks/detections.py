"""What a bank of sequential detectors reports, and the gate that a detection passes to become an alarm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.detector.state import Fields, array, integer
from services.detector.structs import FloatArray, IntArray

FOUND = 6  # columns of the table that kernels fill: row, series, events, mean, statistic, direction


@dataclass(frozen=True, slots=True)
class Detections:
    """One entry per detection, sorted by (row, series); all arrays have the same length."""

    row: IntArray  # row of the batch at which it fired
    series: IntArray
    events: IntArray  # the series' events since the estimated onset, the firing one included
    mean: FloatArray  # of the series' values since the onset
    statistic: FloatArray  # the detector's own, at the moment it fired
    direction: IntArray  # +1 the values went up, -1 down, 0 unsaid

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True)
class Gate:
    """A detection is an alarm when the mean since its onset is far enough from the reference, on enough events."""

    min_events: int
    min_effect: FloatArray  # per series, of |mean since the onset - reference mean|, in units of the series
    reference_mean: FloatArray  # per series

    def fields(self) -> Fields:
        """Return the gate as fields of its bank's snapshot."""
        return {
            "min_events": self.min_events,
            "min_effect": self.min_effect.copy(),
            "reference_mean": self.reference_mean.copy(),
        }

    @classmethod
    def of(cls, fields: Fields) -> Gate:
        """Return the gate in a bank's snapshot."""
        return cls(
            integer(fields, "min_events"),
            array(fields, "min_effect", np.float64),
            array(fields, "reference_mean", np.float64),
        )


def detections(found: FloatArray) -> Detections:
    """Return the rows of a kernel's table, sorted."""
    table = found[np.lexsort((found[:, 1], found[:, 0]))]
    row, series, events, mean, statistic, direction = (np.ascontiguousarray(column) for column in table.T)
    return Detections(
        row.astype(np.int64),
        series.astype(np.int64),
        events.astype(np.int64),
        mean,
        statistic,
        direction.astype(np.int64),
    )


def no_gate(series: int) -> Gate:
    """Return the gate that everything passes, for banks that report each detection."""
    return Gate(0, np.zeros(series), np.zeros(series))
