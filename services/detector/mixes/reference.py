"""The reference's shares of one thing that no column tells: the segments of a dimension, or the labels."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from services.detector.structs import IntArray

WINDOW_ROWS = 1_000
SEGMENT_SHARES, LABEL_SHARES = "segment_shares", "label_shares"  # detectors


class Mix(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How often each bin occurs in the reference."""

    name: str  # the dimension, or `label`
    detector: str
    names: list[str]  # of the bins
    counts: np.ndarray  # int64 [bins]
    edges: np.ndarray  # float64 between right-closed bins of numbers; empty for others
    phi: float  # overdispersion of its own windows, at least 1
    reason: str  # why it does not page; empty where it does
    by_cell: np.ndarray  # int64 [cells, bins] of labels, whose segments may explain them; [0, 0] of segments
    place: int = 0  # of the dimension's segmentation among a row's cells, from 1
    first_cell: int = 0

    @property
    def is_ordered(self) -> bool:
        """Tell whether the bins are of numbers."""
        return self.edges.size > 0


def of_segments(mixes: Sequence[Mix]) -> list[Mix]:
    """Return the dimensions."""
    return [mix for mix in mixes if mix.detector == SEGMENT_SHARES]


def of_labels(mixes: Sequence[Mix]) -> Mix | None:
    """Return the labels; None where the reference has none."""
    return next((mix for mix in mixes if mix.detector == LABEL_SHARES), None)


def tests_per_week(mixes: Sequence[Mix], rows_per_week: float) -> float:
    """Return the windows of everything that may page; labels come no faster than rows."""
    return sum(not mix.reason for mix in mixes) * rows_per_week / WINDOW_ROWS


def counted(codes: IntArray, bins: int) -> IntArray:
    """Return how often each bin occurs; -1 is none."""
    return np.bincount(codes[codes >= 0], minlength=bins).astype(np.int64)
