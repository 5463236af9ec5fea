"""Which right-closed interval between ascending edges a value lies in: bins of histograms and cells of grids."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.compiled import dense, kernel
from services.detector.structs import FloatArray

MISSING = -1


def intervals_of(values: FloatArray, edges: FloatArray) -> NDArray[np.int32]:
    """Return the interval of each value, 0 to the number of edges; -1 where it is missing (NaN)."""
    found = np.empty(len(values), np.int32)
    _locate(dense(values, np.float64), dense(edges, np.float64), found)
    return found


@kernel
def _locate(values: FloatArray, edges: FloatArray, found: NDArray[np.int32]) -> None:
    for i in range(values.shape[0]):
        value = values[i]
        if math.isnan(value):
            found[i] = MISSING
            continue
        # Halving without a branch to mispredict: `base` edges are known to lie below the value.
        base, left = 0, edges.shape[0]
        while left > 1:
            half = left // 2
            base += half if edges[base + half - 1] < value else 0
            left -= half
        if left == 1 and edges[base] < value:
            base += 1
        found[i] = base
