"""Whether two columns move together otherwise than in the reference: Fisher, Metron 1, 1921.

Any two numeric columns make a pair, so an error, a label or a prediction may be one of them. Pearson's coefficient is
taken of values; Spearman's is the same of mid-ranks under the baseline, whatever the marginals of the window are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

from scipy.special import ndtr

GATE_DELTA = 0.1
# Of z, in terms of Pearson's: Fieller, Hartley and Pearson, Biometrika 44, 1957.
VARIANCE = MappingProxyType({"pearson": 1.0, "spearman": 1.06})
_CLOSEST = 1 - 1e-9  # to a straight line: beyond, z is infinite
_FEWEST = 4  # rows of which z has a variance


@dataclass(frozen=True, slots=True)
class Correlation:
    """A coefficient over the rows in which both columns are known; None where one of them does not vary."""

    r: float | None
    rows: int


@dataclass(frozen=True, slots=True)
class CorrelationDrift:
    """How far a window's correlation is from the reference's."""

    delta: float  # r of the window - r of the reference
    noise_floor: float  # the standard error of that difference
    z: float  # the difference of Fisher's z in standard errors
    p_value: float  # two-sided; six significant digits, as published


def coefficient(squares_x: float, squares_y: float, products: float) -> float | None:
    """Return the coefficient of sums of squared deviations and of their products, in [-1, 1].

    None where a column does not vary, or where a sum is beyond the floats.
    """
    scale = math.sqrt(squares_x) * math.sqrt(squares_y) if min(squares_x, squares_y) > 0 else 0.0
    if not 0 < scale < math.inf or not math.isfinite(products):
        return None
    return min(max(products / scale, -1.0), 1.0)


def pearson_delta(window: Correlation, reference: Correlation, phi: float = 1.0) -> CorrelationDrift | None:
    """Return how far Pearson's coefficient has moved; None where a side has none, or has fewer than four rows.

    phi: overdispersion of the reference's own windows, >= 1. The law is that of normal columns: heavy tails scatter
    more, and their phi must say so.
    """
    return _delta(window, reference, phi * VARIANCE["pearson"])


def spearman_delta(window: Correlation, reference: Correlation, phi: float = 1.0) -> CorrelationDrift | None:
    """Return how far the coefficient of ranks has moved, as `pearson_delta` does of values; it has no heavy tails."""
    return _delta(window, reference, phi * VARIANCE["spearman"])


DELTAS = MappingProxyType({"pearson": pearson_delta, "spearman": spearman_delta})


def _delta(window: Correlation, reference: Correlation, variance: float) -> CorrelationDrift | None:
    if window.r is None or reference.r is None or min(window.rows, reference.rows) < _FEWEST:
        return None
    error = math.sqrt(variance * (1 / (window.rows - 3) + 1 / (reference.rows - 3)))
    z = (fisher(window.r) - fisher(reference.r)) / error
    noise = (1 - reference.r**2) * error
    return CorrelationDrift(window.r - reference.r, noise, z, float(f"{2 * ndtr(-abs(z)):.6g}"))


def fisher(r: float) -> float:
    """Return Fisher's z, finite for any coefficient."""
    return math.atanh(min(max(r, -_CLOSEST), _CLOSEST))
