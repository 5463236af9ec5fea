"""How large a change must be to have a given PSI, over the bins that the product counts in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from services.detector.structs import FloatArray

DECILES = norm.ppf(np.arange(1, 10) / 10)


def mean_shift(psi: float) -> float:
    """Return by how many standard deviations a normal column's mean moves."""
    return _root(lambda shift: _psi_of_normal(shift, 1.0), psi, 0.0, 5.0)


def spread(psi: float) -> float:
    """Return the factor by which a normal column's standard deviation grows."""
    return _root(lambda factor: _psi_of_normal(0.0, factor), psi, 1.0, 20.0)


def one_category(shares: FloatArray, psi: float) -> FloatArray:
    """Return the shares after the first level has grown at the cost of all others alike."""

    def grown(share: float) -> FloatArray:
        found: FloatArray = shares * (1 - share) / (1 - shares[0])
        found[0] = share
        return found

    return grown(_root(lambda share: _psi(grown(share), shares), psi, float(shares[0]), 0.99))


def _psi_of_normal(mean: float, sd: float) -> float:
    bounds = np.concatenate([[0.0], norm.cdf(DECILES, mean, sd), [1.0]])
    return _psi(np.diff(bounds), np.full(10, 0.1))


def _psi(window: FloatArray, reference: FloatArray) -> float:
    return float(((window - reference) * np.log(window / reference)).sum())


def _root(psi_at: Callable[[float], float], psi: float, low: float, high: float) -> float:
    return float(brentq(lambda x: psi_at(x) - psi, low, high))
