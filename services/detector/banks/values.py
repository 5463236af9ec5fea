"""Which values are events: what a detector can add up."""

from __future__ import annotations

import numpy as np

from services.detector.banks.compiled import dense
from services.detector.structs import FloatArray

LARGEST = 1e100  # the squares of more values than a series can have still add up to a finite number


def usable(values: FloatArray) -> FloatArray:
    """Return `values` in the layout of the kernels; one that is larger than LARGEST is NaN, which is no event.

    A sum that became infinite would stay so: the series would never be watched again, and nobody would know.
    """
    values = dense(values, np.float64)
    beyond = np.abs(values) > LARGEST
    return np.where(beyond, np.nan, values) if beyond.any() else values
