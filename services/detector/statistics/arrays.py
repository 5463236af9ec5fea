"""What counts may be, and how they become shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from services.detector.structs import FloatArray

Counts = npt.NDArray[np.integer] | npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]


def shares(counts: Counts) -> FloatArray:
    """Return `counts` as shares of their sum.

    Raises:
        ValueError: the sum is zero, so that no share is defined.
    """
    values = np.asarray(counts, dtype=np.float64)
    total = values.sum()
    if not total > 0:
        raise ValueError("no events to take shares of")
    result: FloatArray = values / total
    return result
