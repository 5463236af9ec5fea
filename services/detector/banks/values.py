"""Which values are events: what a detector can add up."""

from __future__ import annotations

import math

import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.structs import FloatArray

LARGEST = 1e100  # the squares of more values than a series can have still add up to a finite number
_FETCHED = 8  # values of a row that the processor fetches together


def usable(values: FloatArray) -> FloatArray:
    """Return `values` in the layout of the kernels; one that is larger than LARGEST is NaN, which is no event.

    A sum that became infinite would stay so: the series would never be watched again, and nobody would know.
    """
    values = dense(values, np.float64)
    beyond = np.abs(values) > LARGEST
    return np.where(beyond, np.nan, values) if beyond.any() else values


def by_series(values: FloatArray) -> FloatArray:
    """Return the usable values of each series one behind the other, [series, rows], from those of rows [rows, series].

    A detector goes through a series at a time: of many series, what lies a row apart lies far apart.
    """
    values = dense(values, np.float64)
    found = np.empty((values.shape[1], values.shape[0]))
    _turn(values, found)
    return found


@kernel
def _turn(values: FloatArray, found: FloatArray) -> None:
    rows, series = values.shape
    for first in range(0, series, _FETCHED):
        for row in range(rows):
            for s in range(first, min(first + _FETCHED, series)):
                value = values[row, s]
                found[s, row] = value if abs(value) <= LARGEST else math.nan
