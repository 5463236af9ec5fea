"""Which right-closed interval between ascending edges a value lies in: bins of histograms and cells of grids."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.compiled import dense, kernel
from services.detector.structs import FloatArray

MISSING = -1
_STRIDE = 24  # about the root of the edges of a grid


def intervals_of(values: FloatArray, edges: FloatArray) -> NDArray[np.int32]:
    """Return the interval of each value, 0 to the number of edges; -1 where it is missing (NaN)."""
    found = np.empty(len(values), np.int32)
    edges = dense(edges, np.float64)
    _locate(dense(values, np.float64), edges, dense(edges[_STRIDE - 1 :: _STRIDE], np.float64), found)
    return found


@kernel
def _locate(values: FloatArray, edges: FloatArray, coarse: FloatArray, found: NDArray[np.int32]) -> None:
    for i in range(values.shape[0]):
        value = values[i]
        if math.isnan(value):
            found[i] = MISSING
            continue
        # Counting through a coarse table, then through a part of the edges: no branch for the processor to mispredict.
        start = 0
        for k in range(coarse.shape[0]):
            start += coarse[k] < value
        start *= _STRIDE
        base = start
        for k in range(start, min(start + _STRIDE, edges.shape[0])):
            base += edges[k] < value
        found[i] = base
