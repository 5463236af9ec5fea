"""Distances between a window and its reference, over the bins of the reference.

Every function takes two count vectors of equal length and bin order, window first, and is symmetric in its meaning of
zero: 0.0 is no difference. All raise ValueError where either side holds no event.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import chdtrc

from services.detector.statistics.arrays import Counts, shares
from services.detector.structs import FloatArray

SHARE_FLOOR = 1e-4


def psi_contributions(window: Counts, reference: Counts) -> FloatArray:
    """Return what each bin adds to `psi`, shape (bins,), nats, each >= 0."""
    q, a = _add_half(window), _add_half(reference)
    return (q - a) * np.log(q / a)


def psi(window: Counts, reference: Counts) -> float:
    """Return the population stability index in nats, half an event added to every bin on both sides.

    Empty bins are finite without an epsilon, and the chi-squared tail of the statistic holds. The value depends on the
    sizes of window and reference: E[psi] = (bins - 1)(1/n + 1/N) without any drift.
    """
    return float(psi_contributions(window, reference).sum())


def psi_debiased(window: Counts, reference: Counts, phi: float = 1.0) -> float:
    """Return `psi` less its mean without drift, (bins - 1)(1/n + 1/N) phi: 0 on average, and negative half the time.

    phi: overdispersion of the reference's own windows, >= 1.
    """
    value = psi(window, reference)
    return value - (len(window) - 1) * (1 / float(np.sum(window)) + 1 / float(np.sum(reference))) * phi


def psi_floor(window: Counts, reference: Counts) -> float:
    """Return the population stability index with shares floored at 1e-4 and renormalised.

    The form that offline tools publish: shown for comparison, never tested, because the floor alone makes small
    windows look drifted.
    """
    q, a = _floored(window), _floored(reference)
    return float(np.sum((q - a) * np.log(q / a)))


def js_distance_base2(window: Counts, reference: Counts) -> float:
    """Return the Jensen-Shannon distance, the square root of the divergence in bits, in [0, 1]."""
    q, a = shares(window), shares(reference)
    middle = (q + a) / 2
    divergence = (_bits(q, middle) + _bits(a, middle)) / 2
    return float(np.sqrt(min(max(divergence, 0.0), 1.0)))


def chi2_stat(window: Counts, reference: Counts) -> float:
    """Return Pearson's statistic of homogeneity of the 2 x bins table, without correction; empty columns drop out."""
    table = np.stack([np.asarray(window, np.float64), np.asarray(reference, np.float64)])
    totals = table.sum(axis=1, keepdims=True)
    if not (totals > 0).all():
        raise ValueError("no events to compare")
    table = table[:, table.sum(axis=0) > 0]
    expected = totals * table.sum(axis=0, keepdims=True) / totals.sum()
    return float(((table - expected) ** 2 / expected).sum())


def chi2_pvalue(window: Counts, reference: Counts) -> float:
    """Return the chance of `chi2_stat` or more under homogeneity; one occupied bin is no test and has 1.

    The law is chi-squared with occupied bins - 1 degrees of freedom, trustworthy where few bins expect under 5 events.
    """
    occupied = _occupied(window, reference)
    statistic = chi2_stat(window, reference)
    return float(chdtrc(occupied - 1, statistic)) if occupied > 1 else 1.0


def cramers_v(window: Counts, reference: Counts) -> float:
    """Return Cramér's V of the 2 x bins table, corrected for bias, in [0, 1]: an effect that does not grow with n.

    Bergsma, Journal of the Korean Statistical Society 42, 2013. Empty columns drop out; 0 where as many bins are
    occupied as there are events, because then nothing is left of the correction's denominator.
    """
    statistic, occupied = chi2_stat(window, reference), _occupied(window, reference)
    size = float(np.sum(window)) + float(np.sum(reference))
    rows, columns = 2 - 1 / (size - 1), occupied - (occupied - 1) ** 2 / (size - 1)
    least = min(rows, columns) - 1
    excess = statistic / size - (occupied - 1) / (size - 1)
    return math.sqrt(min(excess / least, 1.0)) if least > 0 and excess > 0 else 0.0


def linf(window: Counts, reference: Counts) -> float:
    """Return the largest absolute difference of the shares of a bin, in [0, 1]."""
    return float(np.abs(shares(window) - shares(reference)).max())


def hellinger(window: Counts, reference: Counts) -> float:
    """Return the Hellinger distance of the shares, in [0, 1]."""
    difference = np.sqrt(shares(window)) - np.sqrt(shares(reference))
    return float(np.sqrt((difference**2).sum() / 2))


def _occupied(window: Counts, reference: Counts) -> int:
    """Return how many bins hold an event of either side."""
    return int(np.count_nonzero((np.asarray(window) > 0) | (np.asarray(reference) > 0)))


def _add_half(counts: Counts) -> FloatArray:
    values = np.asarray(counts, dtype=np.float64)
    total = values.sum()
    if not total > 0:
        raise ValueError("no events to compare")
    smoothed: FloatArray = (values + 0.5) / (total + values.size / 2)
    return smoothed


def _floored(counts: Counts) -> FloatArray:
    floored = np.maximum(shares(counts), SHARE_FLOOR)
    renormalised: FloatArray = floored / floored.sum()
    return renormalised


def _bits(p: FloatArray, q: FloatArray) -> float:
    """Return the Kullback-Leibler divergence of p from q in bits; q is positive wherever p is."""
    seen = p > 0
    return float(np.sum(p[seen] * np.log2(p[seen] / q[seen])))
