"""Distances of numeric columns from counts on the reference's fine grid (`services/detector/grid.py`).

A grid isolates every heavy value of the reference in a cell of its own and holds at most 1/512 of the reference in any
other, so the error of `ks_stat` is at most 1/512, and 0 where the reference has few enough distinct values.
"""

from __future__ import annotations

import numpy as np
from scipy.special import kolmogorov

from services.detector.statistics.arrays import Counts
from services.detector.structs import FloatArray

SCALE_FLOOR = 1e-9  # of the median: a constant column has no spread to measure in


def ks_stat(window: Counts, reference: Counts) -> float:
    """Return the largest difference of the two distribution functions at the edges of the grid, in [0, 1]."""
    return float(np.abs(_difference(window, reference)).max())


def ks_pvalue(window: Counts, reference: Counts) -> float:
    """Return the two-sided chance of `ks_stat` or more without a change, in [0, 1].

    The law is Kolmogorov's limit for n N / (n + N) events, a little too careful below a few hundred. The grid's
    statistic is never above that of the values, and below it by at most the largest share of `reference` in a cell of
    many values. So the chance is never too small, and never more than a statistic that is 1/512 short explains, against
    the reference that the grid was made of; it is exact where each of its values has a cell of its own. Ties err to the
    same side.
    """
    n, size = float(np.sum(window)), float(np.sum(reference))
    return float(kolmogorov(ks_stat(window, reference) * np.sqrt(n * size / (n + size))))


def wasserstein_norm(window: Counts, reference: Counts, edges: FloatArray, *, sd: float, median: float) -> float:
    """Return the first Wasserstein distance in standard deviations of the reference.

    window, reference: shape (edges + 1,), counts per grid cell, right-closed; edges: ascending interior edges.
    sd, median: of the reference, population form; a constant column is measured in 1e-9 of its median instead.
    Mass spreads evenly inside a cell; what lies beyond the outermost edges counts as lying on them.
    """
    if edges.size < 2:
        return 0.0
    difference = _difference(window, reference)[:-1]
    left, right, width = difference[:-1], difference[1:], np.diff(edges)
    heights = np.abs(left) + np.abs(right)
    crossing = left * right < 0
    safe = np.where(crossing, heights, 1.0)
    # The mean of |straight line| over a cell: a trapezoid, or two triangles where the line crosses zero.
    mean = np.where(crossing, (left**2 + right**2) / (2 * safe), heights / 2)
    return float(np.sum(mean * width)) / scale_of(sd, median)


def scale_of(sd: float, median: float) -> float:
    """Return what a distance is measured in: the reference's deviation, or 1e-9 of its median where it is constant."""
    return max(sd, SCALE_FLOOR * abs(median), 1e-12)


def _difference(window: Counts, reference: Counts) -> FloatArray:
    return _distribution(window) - _distribution(reference)


def _distribution(counts: Counts) -> FloatArray:
    upto = np.cumsum(counts, dtype=np.float64)
    if not upto[-1] > 0:
        raise ValueError("no events to compare")
    distribution: FloatArray = upto / upto[-1]
    return distribution
