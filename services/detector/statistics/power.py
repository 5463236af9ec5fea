"""What a threshold is worth: how often it is passed without any change, and the smallest change that passes it.

Windows follow the law of `verdict.py`: PSI over one degree of freedom's worth of it is chi-squared without a change,
and non-central chi-squared with one. Sequential statistics are taken for Brownian motion, which crosses a line at least
as often as the sums of events do (Siegmund, Sequential Analysis, 1985, chapter III).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import chndtrinc, ndtr, ndtri

from services.detector.statistics.chi_squared import chance_of, noncentral_at
from services.detector.statistics.verdict import TOLERATED_PSI
from services.detector.structs import FloatArray

EVENTS_TO_FOLLOW = 80  # of a change, until the quickest of the e-detector's estimates shows it
_STEPS = 20  # of the fixed point for a shift; five agree to six digits
_LEAST_PSI = 1e-12
_LEAST_SHARE = 1e-300  # of a bin that a shift has emptied, so that its logarithm is finite


def psi_at_level(level: float, bins: FloatArray, unit: FloatArray, reference_rows: FloatArray) -> FloatArray:
    """Return the PSI whose tolerant p-value is `level`, one per window; see `verdict.tolerant_p` for the rest."""
    tolerated = np.maximum(TOLERATED_PSI, 2 * (bins - 1) / reference_rows)
    return unit * noncentral_at(level, bins - 1, tolerated / unit)


def chance_without_change(psi: FloatArray, bins: FloatArray, unit: FloatArray) -> FloatArray:
    """Return the chance that a window of an unchanged stream has this PSI or more."""
    return chance_of(psi / unit, bins - 1)


def psi_found(threshold: FloatArray, bins: FloatArray, unit: FloatArray, chance: float) -> FloatArray:
    """Return the PSI between the two distributions, at which a window's own PSI passes `threshold` with `chance`."""
    centrality = chndtrinc(threshold / unit, bins - 1, 1.0 - chance)
    found: FloatArray = np.nan_to_num(centrality) * unit
    return found


def psi_of_shift(shares: FloatArray, shift: FloatArray) -> FloatArray:
    """Return the PSI that a shift of the mean makes of a normal column with these shares, [..., ordered bins].

    shift: in standard deviations, at least 0, shape (...,); of the two directions the one that shows less.
    """
    edges = ndtri(np.clip(np.cumsum(shares, axis=-1)[..., :-1], 0.0, 1.0))
    moved = [_psi(np.diff(ndtr(_bounded(edges - side * shift[..., None])), axis=-1), shares) for side in (1, -1)]
    least: FloatArray = np.minimum(*moved)
    return least


def shift_of_psi(shares: FloatArray, psi: FloatArray) -> FloatArray:
    """Return the shift whose PSI this is, the inverse of `psi_of_shift`; infinite where no shift makes so much of it.

    PSI grows about as the square of a shift, which makes the steps.
    """
    shift = np.sqrt(psi)
    for _ in range(_STEPS):
        shift = shift * np.sqrt(psi / np.maximum(psi_of_shift(shares, shift), _LEAST_PSI))
    found: FloatArray = np.where(np.isclose(psi_of_shift(shares, shift), psi), shift, np.inf)
    return found


def chance_over_line(intercept: float, slope: float, events: float) -> float:
    """Return at most how likely the sum of standard normals is, at any time from `events` on, above a rising line.

    The line is `intercept + slope * events`, both at least 0. With W the sum less the slope, which is normal at
    `events`: P(W >= intercept) + E[exp(-2 slope (intercept - W)); W < intercept].
    """
    spread = math.sqrt(events)
    at_once = ndtr(-(intercept + slope * events) / spread)
    later = math.exp(-2.0 * slope * intercept) * ndtr((intercept - slope * events) / spread)
    return float(at_once + later)


def rate_found(p0: float, threshold: float, events: float, odds: Sequence[float]) -> float:
    """Return the least rate under which a likelihood-ratio CUSUM of flags has its threshold for mean after `events`.

    odds: of its alternatives over those of `p0`, all above 1. The rate exceeds 1 where there are too few events.
    """
    alternatives = [(math.log(ratio), math.log1p(p0 * (ratio - 1))) for ratio in odds]
    return min((threshold / max(events, 1e-9) + growth) / of_one for of_one, growth in alternatives)


def psi_evident(tolerance: float, threshold: float, events: float, weights: Sequence[float]) -> float:
    """Return the least PSI under which a mixture e-detector has its threshold for mean after `events`; may be infinite.

    Its logarithm grows by (w - w²/2) PSI - w sqrt(tolerance PSI) an event, for the best weight w, once its estimate
    of the shares follows the change.
    """
    if events <= EVENTS_TO_FOLLOW:
        return math.inf
    growth = threshold / (events - EVENTS_TO_FOLLOW)
    roots = [
        (w * math.sqrt(tolerance) + math.sqrt(w * w * tolerance + (4 * w - 2 * w * w) * growth)) / (2 * w - w * w)
        for w in weights
    ]
    return min(roots) ** 2


def _bounded(edges: FloatArray) -> FloatArray:
    return np.pad(edges, [(0, 0)] * (edges.ndim - 1) + [(1, 1)], constant_values=((-np.inf, np.inf),))


def _psi(q: FloatArray, a: FloatArray) -> FloatArray:
    q, a = np.maximum(q, _LEAST_SHARE), np.maximum(a, _LEAST_SHARE)
    psi: FloatArray = ((q - a) * np.log(q / a)).sum(axis=-1)
    return psi
