"""The laws of chi-squared, bit for bit as `scipy.stats` has them, which takes a second of every start to import."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc, gammaincinv
from scipy.special._ufuncs import _ncx2_isf, _ncx2_sf  # what `scipy.stats` calls; it has no public name

from services.detector.structs import FloatArray


def chance_of(x: FloatArray, df: FloatArray) -> FloatArray:
    """Return the chance of each x or more."""
    chance: FloatArray = chdtrc(df, x)
    return chance


def median(df: FloatArray | float) -> FloatArray:
    """Return the median."""
    found: FloatArray = 2 * gammaincinv(np.asarray(df) / 2, 0.5)
    return found


def noncentral_chance_of(x: FloatArray, df: FloatArray, centrality: FloatArray) -> FloatArray:
    """Return the chance of each finite x or more under the non-central law; centrality > 0."""
    with np.errstate(over="ignore"):
        chance: FloatArray = np.where(x <= 0, 1.0, _ncx2_sf(x, df, centrality))
    return chance


def noncentral_at(chance: float, df: FloatArray, centrality: FloatArray) -> FloatArray:
    """Return the x that is exceeded with this chance under the non-central law; centrality > 0."""
    with np.errstate(over="ignore"):
        found: FloatArray = _ncx2_isf(chance, df, centrality)
    return found
