"""Everything that the counts of closed windows say of one column, in one compiled pass.

The definitions are those of `distances.py`, `grid_distances.py` and `verdict.py`, which call this with one window. A
statistic of a window, or of a reference cell, without events is NaN.
"""

from __future__ import annotations

import math

import numpy as np

from services.detector.banks.compiled import kernel
from services.detector.structs import CodeArray, FloatArray, IntArray

SHARE_FLOOR = 1e-4
POOL_EXPECTED = 10.0  # events that a pooled bin is expected to hold in a window

# Columns of the table that `statistics` fills.
N, REFERENCE_N, OCCUPIED = 0, 1, 2  # events of window and cell; bins that either of them holds
PSI, PSI_FLOOR, JS, HELLINGER, CHI2, LINF = 3, 4, 5, 6, 7, 8  # over unpooled bins
GROUPS, POOLED_PSI = 9, 10  # over pooled bins, which `pool` chooses
BINS = 11
WIDTH = 12

# Columns of the table that `grid_statistics` fills.
KS, WASSERSTEIN = 0, 1  # the latter in the values' own unit
OUTLIERS, COMPLIANT = 2, 3  # shares of the values that were there
QUANTILES = 4  # and the columns after it
PER_MILLE = (10, 50, 250, 500, 750, 950, 990)  # whole numbers: a rank that is whole stays whole
GRID_WIDTH = QUANTILES + len(PER_MILLE)

_SHARES = np.array(PER_MILLE)


@kernel
def pool_row(reference: FloatArray, order: IntArray, n: float, groups: IntArray) -> int:
    """Fill `groups` with the pooled bin of each bin; return how many there are."""
    total = 0.0
    for k in range(reference.shape[0]):
        total += reference[k]
    groups[:] = 0
    if total <= 0.0:
        return 1
    current, held, begun = 0, 0.0, False
    for k in range(order.shape[0]):
        groups[order[k]] = current
        held += reference[order[k]]
        begun = True
        if held * n >= POOL_EXPECTED * total:
            current += 1
            held, begun = 0.0, False
    if begun and current > 0:  # a remainder joins the last group
        for k in range(groups.shape[0]):
            if groups[k] == current:
                groups[k] = current - 1
    if begun and current == 0:
        return 1
    return current


@kernel
def _pooled_psi(window: FloatArray, reference: FloatArray, groups: IntArray, bins: int, n: float, size: float) -> float:
    of_window, of_reference = np.zeros(bins), np.zeros(bins)
    for k in range(window.shape[0]):
        of_window[groups[k]] += window[k]
        of_reference[groups[k]] += reference[k]
    psi = 0.0
    for k in range(bins):
        q = (of_window[k] + 0.5) / (n + bins / 2.0)
        a = (of_reference[k] + 0.5) / (size + bins / 2.0)
        psi += (q - a) * math.log(q / a)
    return psi


@kernel
def _unpooled(window: FloatArray, reference: FloatArray, n: float, size: float, found: FloatArray) -> None:
    bins = window.shape[0]
    psi = floor = js = hellinger = chi2 = linf = 0.0
    floored_window = floored_reference = 0.0
    occupied = 0
    for k in range(bins):
        floored_window += max(window[k] / n, SHARE_FLOOR)
        floored_reference += max(reference[k] / size, SHARE_FLOOR)
    for k in range(bins):
        q, a = window[k] / n, reference[k] / size
        smooth_q = (window[k] + 0.5) / (n + bins / 2.0)
        smooth_a = (reference[k] + 0.5) / (size + bins / 2.0)
        psi += (smooth_q - smooth_a) * math.log(smooth_q / smooth_a)
        floor_q, floor_a = max(q, SHARE_FLOOR) / floored_window, max(a, SHARE_FLOOR) / floored_reference
        floor += (floor_q - floor_a) * math.log(floor_q / floor_a)
        middle = (q + a) / 2.0
        if q > 0.0:
            js += q * math.log2(q / middle) / 2.0
        if a > 0.0:
            js += a * math.log2(a / middle) / 2.0
        hellinger += (math.sqrt(q) - math.sqrt(a)) ** 2
        linf = max(linf, abs(q - a))
        both = window[k] + reference[k]
        if both > 0:
            occupied += 1
            expected = n * both / (n + size)
            expected_reference = size * both / (n + size)
            chi2 += (window[k] - expected) ** 2 / expected
            chi2 += (reference[k] - expected_reference) ** 2 / expected_reference
    found[OCCUPIED] = occupied
    found[PSI] = psi
    found[PSI_FLOOR] = floor
    found[JS] = math.sqrt(min(max(js, 0.0), 1.0))
    found[HELLINGER] = math.sqrt(hellinger / 2.0)
    found[CHI2] = chi2
    found[LINF] = linf


@kernel
def statistics(
    windows: FloatArray,
    cells: IntArray,
    references: FloatArray,
    orders: IntArray,
    found: FloatArray,
) -> None:
    """Fill `found` [windows, WIDTH].

    windows: [windows, bins] counts; cells: [windows] whose reference each is compared with; references: [cells, bins];
    orders: [cells, bins] in which bins are pooled.
    """
    groups = np.zeros(windows.shape[1], np.int64)
    for w in range(windows.shape[0]):
        window, reference = windows[w], references[cells[w]]
        n = size = 0.0
        for k in range(windows.shape[1]):
            n += window[k]
            size += reference[k]
        found[w, :] = math.nan
        found[w, N], found[w, REFERENCE_N], found[w, GROUPS], found[w, BINS] = n, size, 1.0, windows.shape[1]
        if n <= 0.0 or size <= 0.0:
            continue
        _unpooled(window, reference, n, size, found[w])
        bins = pool_row(reference, orders[cells[w]], n, groups)
        found[w, GROUPS] = bins
        if bins > 1:
            found[w, POOLED_PSI] = _pooled_psi(window, reference, groups, bins, n, size)


@kernel
def _quantile(window: CodeArray, edges: FloatArray, k: int, above: float, low: float, high: float) -> float:
    """Return the quantile in grid cell `k`, `above` of whose values lie above it.

    Mass spreads evenly over what of the cell lies between the window's ends; a cell of one value is that value.
    """
    share = 1.0 - above / window[k]
    left = low if k == 0 else max(edges[k - 1], low)
    right = high if k == edges.shape[0] else min(edges[k], high)
    if np.nextafter(right, -math.inf) <= left:
        return right
    inside: float = min(max(left * (1.0 - share) + right * share, left), right)
    return inside


@kernel
def _fill_quantiles(window: CodeArray, edges: FloatArray, n: float, low: float, high: float, found: FloatArray) -> None:
    upto, reached = 0.0, 0
    for k in range(window.shape[0]):
        upto += window[k]
        while reached < _SHARES.shape[0] and upto >= _SHARES[reached] * n / 1_000:
            found[QUANTILES + reached] = _quantile(window, edges, k, upto - _SHARES[reached] * n / 1_000, low, high)
            reached += 1


@kernel
def _count_between(window: CodeArray, first: int, stop: int) -> float:
    inside = 0.0
    for k in range(first, min(stop, window.shape[0])):
        inside += window[k]
    return inside


@kernel
def grid_statistics(
    windows: CodeArray,
    cells: IntArray,
    references: CodeArray,
    edges: FloatArray,
    ends: FloatArray,
    limits: IntArray,
    found: FloatArray,
) -> None:
    """Fill `found` [windows, GRID_WIDTH] from counts on a column's fine grid; see `grid_distances.py`, `summary.py`.

    windows: [windows, grid cells]; references: [cells, grid cells]; edges: [grid cells - 1]; ends: [windows, 2], the
    least and the largest value; limits: grid cells that are no outliers, from the first to before the second, and those
    of the reference's own range, from the third to before the fourth.
    """
    width = windows.shape[1]
    for w in range(windows.shape[0]):
        window, reference = windows[w], references[cells[w]]
        n = size = 0.0
        for k in range(width):
            n += window[k]
            size += reference[k]
        found[w, :] = math.nan
        if n > 0.0 and ends[w, 0] <= ends[w, 1]:
            _fill_quantiles(window, edges, n, ends[w, 0], ends[w, 1], found[w])
        if n <= 0.0 or size <= 0.0:
            continue
        upto = upto_reference = largest = area = 0.0
        before = 0.0
        for k in range(width):
            upto += window[k]
            upto_reference += reference[k]
            difference = upto / n - upto_reference / size
            largest = max(largest, abs(difference))
            if 0 < k < width - 1:
                # The mean of |straight line| over a cell: a trapezoid, or two triangles where the line crosses zero.
                heights = abs(before) + abs(difference)
                mean = heights / 2.0
                if before * difference < 0.0:
                    mean = (before * before + difference * difference) / (2.0 * heights)
                area += mean * (edges[k] - edges[k - 1])
            before = difference
        found[w, KS] = largest
        found[w, WASSERSTEIN] = area
        found[w, OUTLIERS] = (n - _count_between(window, limits[0], limits[1])) / n
        found[w, COMPLIANT] = _count_between(window, limits[2], limits[3]) / n
