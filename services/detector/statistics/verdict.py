"""The one calibrated verdict on a window: pooled PSI against the law it has without a change that matters.

(B-1)(1/n + 1/N) is the mean of the PSI of B bins without any drift and PSI/(1/n + 1/N) is chi-squared with B-1 degrees
of freedom (Yurdakul 2018); with a stated tolerance it is non-central (Potgieter et al., arXiv 2307.11878). Half an
event a bin and pooled rare bins keep that tail true down to 1e-6 for windows of 500 events and more.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from services.detector.banks.compiled import dense
from services.detector.statistics.arrays import BoolArray, Counts
from services.detector.statistics.chi_squared import noncentral_chance_of
from services.detector.statistics.window_kernel import GROUPS, POOLED_PSI, REFERENCE_N, WIDTH, N, pool_row, statistics
from services.detector.structs import FloatArray, IntArray

TOLERATED_PSI = 0.01


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What windows say, an array each of one shape. One pooled bin is no test and has p = 1."""

    psi: FloatArray  # over pooled bins, half an event added to each
    psi_debiased: FloatArray  # psi - noise_floor: 0 on average without drift, may be negative
    df: IntArray  # pooled bins - 1
    p_value: FloatArray  # of a drift beyond the tolerance; six significant digits, as published
    noise_floor: FloatArray  # the mean of psi without drift


def chosen(is_first: BoolArray, first: Verdicts, second: Verdicts) -> Verdicts:
    """Return the first verdict on each window where `is_first`, else the second."""
    names = (field.name for field in fields(Verdicts))
    return Verdicts(*(np.where(is_first, getattr(first, name), getattr(second, name)) for name in names))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one window says, in the terms of `Verdicts`."""

    psi: float
    psi_debiased: float
    df: int
    p_value: float
    noise_floor: float


def pool(reference: Counts, n: float, *, ordered: bool) -> npt.NDArray[np.int64]:
    """Return the pooled bin of each bin, shape (bins,).

    Bins join in reference order until a group is expected to hold 10 of the window's `n` events; a remainder joins the
    last group. The order is that of the axis for `ordered` (numeric) bins, else by falling count, so that rare levels
    pool with rare levels.
    """
    groups = np.zeros(len(reference), np.int64)
    counts = dense(np.asarray(reference), np.float64)
    pool_row(counts, pooling_orders(counts[np.newaxis], ordered=ordered)[0], float(n), groups)
    return groups


def pooling_orders(references: Counts, *, ordered: bool) -> IntArray:
    """Return the order in which the bins of each reference join, shape (references, bins)."""
    counts = np.asarray(references, np.float64)
    if ordered:
        return dense(np.broadcast_to(np.arange(counts.shape[1]), counts.shape), np.int64)
    return dense(np.argsort(-counts, axis=1, kind="stable"), np.int64)


def verdicts_of(found: FloatArray, phi: FloatArray) -> Verdicts:
    """Return the verdicts on windows whose statistics a kernel has found, shape (..., WIDTH).

    phi: overdispersion of each column's own reference windows, >= 1; shape (...,).
    """
    groups, n, size = found[..., GROUPS], found[..., N], found[..., REFERENCE_N]
    tested = groups > 1
    psi = np.where(tested, found[..., POOLED_PSI], 0.0)
    unit = np.where(tested, (1 / np.where(tested, n, 1.0) + 1 / np.where(tested, size, 1.0)) * phi, 0.0)
    df = groups.astype(np.int64) - 1
    floor: FloatArray = (groups - 1) * unit
    p_value = np.ones(psi.shape)
    p_value[tested] = tolerant_p(psi[tested], groups[tested], unit[tested], size[tested])
    published = [float(f"{p:.6g}") for p in p_value.ravel().tolist()]
    return Verdicts(psi, psi - floor, df, np.array(published).reshape(p_value.shape), floor)


def judge(window: Counts, reference: Counts, *, ordered: bool, phi: float = 1.0) -> Verdict:
    """Return the verdict on `window` against `reference`, both shape (bins,) and unpooled.

    phi: overdispersion of the column's own reference windows, >= 1 (from the baseline's self-test).
    A side without events, like a single pooled bin, is no test.
    """
    references = dense(np.asarray(reference)[np.newaxis], np.float64)
    found = np.empty((1, WIDTH))
    orders = pooling_orders(references, ordered=ordered)
    statistics(dense(np.asarray(window)[np.newaxis], np.float64), np.zeros(1, np.int64), references, orders, found)
    one = verdicts_of(found, np.full(1, phi))
    return Verdict(
        float(one.psi[0]),
        float(one.psi_debiased[0]),
        int(one.df[0]),
        float(one.p_value[0]),
        float(one.noise_floor[0]),
    )


def tolerant_p(psi: FloatArray, bins: FloatArray, unit: FloatArray, reference_rows: FloatArray) -> FloatArray:
    """Return the chance of each PSI or more under the largest drift that is tolerated.

    unit: (1/n + 1/N) phi, one degree of freedom's worth of PSI. The tolerance is .01, or twice the PSI that the
    reference's own sampling error explains where that is more.
    """
    tolerated = np.maximum(TOLERATED_PSI, 2 * (bins - 1) / reference_rows)
    return noncentral_chance_of(psi / unit, bins - 1, tolerated / unit)
