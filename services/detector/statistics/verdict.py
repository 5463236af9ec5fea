"""The one calibrated verdict on a window: pooled PSI against the law it has without a change that matters.

(B-1)(1/n + 1/N) is the mean of the PSI of B bins without any drift and PSI/(1/n + 1/N) is chi-squared with B-1 degrees
of freedom (Yurdakul 2018); with a stated tolerance it is non-central (Potgieter et al., arXiv 2307.11878). Half an
event a bin and pooled rare bins keep that tail true down to 1e-6 for windows of 500 events and more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import ncx2

from services.detector.statistics.arrays import Counts
from services.detector.statistics.distances import psi

POOL_EXPECTED = 10.0  # events that a pooled bin is expected to hold in a window
TOLERATED_PSI = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a window says. `groups` maps each bin to its pooled bin; one pooled bin is no test and has p = 1."""

    psi: float  # over pooled bins, half an event added to each
    psi_debiased: float  # psi - noise_floor: 0 on average without drift, may be negative
    df: int  # pooled bins - 1
    p_value: float  # of a drift beyond the tolerance; six significant digits, as published
    noise_floor: float  # the mean of psi without drift
    groups: tuple[int, ...]


def pool(reference: Counts, n: float, *, ordered: bool) -> npt.NDArray[np.int64]:
    """Return the pooled bin of each bin, shape (bins,).

    Bins join in reference order until a group is expected to hold 10 of the window's `n` events; a remainder joins the
    last group. The order is that of the axis for `ordered` (numeric) bins, else by falling count, so that rare levels
    pool with rare levels.
    """
    counts = np.asarray(reference, dtype=np.float64)
    total = counts.sum()
    groups = np.zeros(counts.size, dtype=np.int64)
    if not total > 0:
        return groups
    order = np.arange(counts.size) if ordered else np.argsort(-counts, kind="stable")
    current, held = 0, 0.0
    for position in order.tolist():
        groups[position] = current
        held += counts[position]
        if held * n >= POOL_EXPECTED * total:
            current, held = current + 1, 0.0
    if held > 0 or groups.max() == current:
        groups[groups == current] = max(current - 1, 0)
    return groups


def judge(window: Counts, reference: Counts, *, ordered: bool, phi: float = 1.0) -> Verdict:
    """Return the verdict on `window` against `reference`, both shape (bins,) and unpooled.

    phi: overdispersion of the column's own reference windows, >= 1 (from the baseline's self-test).
    A side without events, like a single pooled bin, is no test.
    """
    n, size = float(np.sum(window)), float(np.sum(reference))
    groups = pool(reference, n, ordered=ordered)
    bins = int(groups.max()) + 1 if groups.size else 0
    if n == 0 or size == 0 or bins < 2:
        return Verdict(0.0, 0.0, 0, 1.0, 0.0, tuple(groups.tolist()))
    value = psi(np.bincount(groups, weights=window), np.bincount(groups, weights=reference))
    unit = (1 / n + 1 / size) * phi
    floor = (bins - 1) * unit
    p_value = float(f"{tolerant_p(value, bins, unit, size):.6g}")
    return Verdict(value, value - floor, bins - 1, p_value, floor, tuple(groups.tolist()))


def tolerant_p(value: float, bins: int, unit: float, reference_rows: float) -> float:
    """Return the chance of a PSI of `value` or more under the largest drift that is tolerated.

    unit: (1/n + 1/N) phi, one degree of freedom's worth of PSI. The tolerance is .01, or twice the PSI that the
    reference's own sampling error explains where that is more.
    """
    tolerated = max(TOLERATED_PSI, 2 * (bins - 1) / reference_rows)
    return float(ncx2.sf(value / unit, bins - 1, tolerated / unit))
