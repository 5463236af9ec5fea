"""The array types that counts and shares travel in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
CountArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.integer] | npt.NDArray[np.floating]


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
