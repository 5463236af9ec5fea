"""The test of pairs on the reference itself: how much the correlations of its own windows differ from its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.detector.pairs.reference import WINDOW_ROWS, Coefficient, ReferenceCoefficient
from services.detector.selftest import ENOUGH_WINDOWS, REFERENCE_WINDOWS, TOLERATED_SHARE
from services.detector.statistics import chi_squared
from services.detector.statistics.correlation import GATE_DELTA, VARIANCE, Correlation, fisher


@dataclass(frozen=True, slots=True)
class OwnCoefficients:
    """What the reference's own windows, each against the rest, say of one coefficient of a pair."""

    phi: float  # median of squared z over the median of its law, at least 1
    peak: float  # largest difference
    is_unsteady: bool


def own_coefficients(windows: Sequence[Correlation], whole: Correlation, of: Coefficient) -> OwnCoefficients:
    """Return what windows in time order say of the whole that they are parts of.

    Unsteady: the difference exceeds the gate in more than 1 % of at least 20 windows; with fewer, in any one.
    """
    deltas, squares = [], []
    for window in windows:
        delta = delta_to_rest(window, whole)
        if delta is None or window.r is None or whole.r is None:
            continue
        deltas.append(abs(delta))
        spread = VARIANCE[of] * (1 / (window.rows - 3) - 1 / (whole.rows - 3))
        squares.append((fisher(window.r) - fisher(whole.r)) ** 2 / spread)
    if len(deltas) < 2:
        return OwnCoefficients(1.0, 0.0, is_unsteady=False)
    over = sum(delta > GATE_DELTA for delta in deltas)
    is_unsteady = over > TOLERATED_SHARE * len(deltas) if len(deltas) >= ENOUGH_WINDOWS else over > 0
    phi = max(1.0, float(np.median(squares)) / float(chi_squared.median(1)))
    return OwnCoefficients(phi, max(deltas), is_unsteady)


def delta_to_rest(window: Correlation, whole: Correlation) -> float | None:
    """Return how far a window's coefficient is from that of the other rows; None where either has too few to tell."""
    if window.r is None or whole.r is None or not 3 < window.rows < whole.rows - 3:
        return None
    # A window has its part in the whole, which hides as much of its difference from the rest.
    return (window.r - whole.r) / (1 - window.rows / whole.rows)


def tested(
    windows: Sequence[Correlation], whole: Correlation, of: Coefficient, untestable: str
) -> ReferenceCoefficient:
    """Return a coefficient with whether it may page, and why not.

    untestable: why the order of the reference's rows says nothing; empty where it does.
    """
    own = own_coefficients(() if untestable else windows, whole, of)
    reason = untestable
    if own.is_unsteady:
        reason = f"unsteady: its own windows differ by up to {own.peak:.2g}"
    elif whole.r is None:
        reason = "a column does not vary"
    elif not untestable and whole.rows < REFERENCE_WINDOWS * WINDOW_ROWS:
        reason = thin(whole.rows)
    return ReferenceCoefficient(r=whole.r, rows=whole.rows, phi=own.phi, reason=reason)


def thin(rows: int) -> str:
    """Return why so few rows are no reference of windows."""
    return f"reference is thin ({rows} rows; needs {REFERENCE_WINDOWS * WINDOW_ROWS})"
