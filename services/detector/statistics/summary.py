"""Summary statistics of a numeric column in one window: from its moments, and from its counts on the reference's grid.

Mean, deviation and range are exact. A quantile is off by less than the width of its grid cell, and exact where the cell
holds one value only: there it is the smallest value that so large a share of the window lies at or below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from services.detector.baseline import Column
from services.detector.statistics.arrays import Counts
from services.detector.structs import FloatArray, IntArray

OUTLIER_IQRS = 3.0
_OUTLIER_QUANTILES = (1, 250, 750, 999)  # per mille, like all quantiles here: a rank that is whole stays whole


class OutlierBounds(NamedTuple):
    """A value is an outlier where it is at most `low` or more than `high`; both are edges of the grid, or infinite."""

    low: float
    high: float


def outlier_bounds(column: Column) -> OutlierBounds | None:
    """Return the bounds of outliers on all traffic: q.001 - 3 IQR and q.999 + 3 IQR of the reference.

    They are moved outwards to the next edge of the grid, so that a rate counted on the grid is exact, of a window as of
    the reference. None for a column without a grid, or without a value in the reference.
    """
    counts, edges = column.grid_counts[0], column.grid_edges
    if edges.size == 0 or not counts.sum() > 0:
        return None
    low, q25, q75, high = _quantiles(counts, edges, _OUTLIER_QUANTILES, (column.low, column.high)).tolist()
    reach = OUTLIER_IQRS * (q75 - q25)
    below, above = np.searchsorted(edges, low - reach) - 1, np.searchsorted(edges, high + reach)
    return OutlierBounds(
        float(edges[below]) if below >= 0 else -np.inf,
        float(edges[above]) if above < edges.size else np.inf,
    )


def limits_of(column: Column) -> IntArray:
    """Return the column's grid cells that are no outliers and those of its own range, as `grid_statistics` takes them.

    Shape (4,): from the first to before the second, and from the third to before the fourth.
    """
    edges, bounds = column.grid_edges, outlier_bounds(column)
    if bounds is None:
        return np.array([0, len(edges) + 1, 0, len(edges) + 1])
    low, high = np.searchsorted(edges, bounds.low, side="right"), np.searchsorted(edges, bounds.high) + 1
    first, last = np.searchsorted(edges, (column.low, column.high))
    return np.array([low, high, first, last + 1])


def _quantiles(counts: Counts, edges: FloatArray, per_mille: Sequence[int], ends: tuple[float, float]) -> FloatArray:
    """Return quantiles of counts that are not all zero; mass spreads evenly over what of a cell lies between `ends`."""
    upto = np.cumsum(counts, dtype=np.float64)
    target = np.asarray(per_mille) * upto[-1] / 1_000
    cell = np.searchsorted(upto, target)
    share = 1 - (upto[cell] - target) / np.asarray(counts, np.float64)[cell]
    low, high = ends
    left = np.maximum(np.append(low, edges)[cell], low)
    right = np.minimum(np.append(edges, high)[cell], high)
    isolated = np.nextafter(right, -np.inf) <= left
    inside = np.clip(left * (1 - share) + right * share, left, right)
    found: FloatArray = np.where(isolated, right, inside)
    return found
