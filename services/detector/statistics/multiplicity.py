"""Which of many p-values stand: Benjamini and Hochberg 1995, used inside an opened incident only."""

from __future__ import annotations

import numpy as np

from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray

CULPRIT_RATE = 0.05


def benjamini_hochberg(p_values: FloatArray, rate: float = CULPRIT_RATE) -> BoolArray:
    """Return which hypotheses are rejected with a false discovery rate of `rate`, in the order given."""
    count = p_values.size
    order = np.argsort(p_values, kind="stable")
    passes = p_values[order] <= rate * np.arange(1, count + 1) / max(count, 1)
    rejected = np.zeros(count, dtype=np.bool_)
    if passes.any():
        rejected[order[: int(np.flatnonzero(passes)[-1]) + 1]] = True
    return rejected
