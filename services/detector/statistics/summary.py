"""Summary statistics of a numeric column in one window: from its moments, and from its counts on the reference's grid.

Mean, deviation and range are exact. A quantile is off by less than the width of its grid cell, and exact where the cell
holds one value only: there it is the smallest value that so large a share of the window lies at or below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from services.detector.baseline import Column
from services.detector.statistics.arrays import Counts
from services.detector.statistics.moments import ColumnMoments
from services.detector.structs import FloatArray

OUTLIER_IQRS = 3.0
_OUTLIER_QUANTILES = (1, 250, 750, 999)  # per mille, like all quantiles here: a rank that is whole stays whole
_QUANTILES = (10, 50, 250, 500, 750, 950, 990)


class OutlierBounds(NamedTuple):
    """A value is an outlier where it is at most `low` or more than `high`; both are edges of the grid, or infinite."""

    low: float
    high: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One numeric column of one window. None is undefined: no value, or one beyond the floats."""

    count: int  # values that were there
    missing_rate: float | None  # of all rows; the other rates are of the values that were there
    mean: float | None
    sd: float | None  # population form
    minimum: float | None
    maximum: float | None
    q01: float | None
    q05: float | None
    q25: float | None
    median: float | None
    q75: float | None
    q95: float | None
    q99: float | None
    outlier_rate: float | None
    compliance_rate: float | None  # inside the range of the reference's values, its ends included


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


def summarise(
    column: Column, bounds: OutlierBounds | None, counts: Counts, missing: int, moments: ColumnMoments
) -> Summary:
    """Return the summary of one window of `column`.

    bounds: the column's `outlier_bounds`; without them the rates that compare with the reference are None.
    counts: [grid cells], of the values that were there; missing: rows without one.
    """
    known = int(np.sum(counts))
    edges = column.grid_edges
    quantiles: list[float | None] = [None] * len(_QUANTILES)
    if known and moments.minimum is not None and moments.maximum is not None:
        quantiles = _quantiles(counts, edges, _QUANTILES, (moments.minimum, moments.maximum)).tolist()
    q01, q05, q25, median, q75, q95, q99 = quantiles
    outliers = within = None
    if bounds is not None and known:
        low, high = np.searchsorted(edges, bounds.low, side="right"), np.searchsorted(edges, bounds.high) + 1
        outliers = (known - int(np.sum(counts[low:high]))) / known
        first, last = np.searchsorted(edges, (column.low, column.high))
        within = int(np.sum(counts[first : last + 1])) / known
    return Summary(
        count=known,
        missing_rate=missing / (known + missing) if known + missing else None,
        mean=moments.mean,
        sd=moments.sd,
        minimum=moments.minimum,
        maximum=moments.maximum,
        q01=q01,
        q05=q05,
        q25=q25,
        median=median,
        q75=q75,
        q95=q95,
        q99=q99,
        outlier_rate=outliers,
        compliance_rate=within,
    )


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
