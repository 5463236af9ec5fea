"""Bounds on a rate from a count of events."""

from __future__ import annotations

import math

Z95 = 1.959963984540054


def wilson(successes: float, trials: float, z: float = Z95) -> tuple[float, float]:
    """Return the Wilson score interval of a rate (Wilson 1927); (0, 1) where there was no trial."""
    if trials <= 0:
        return 0.0, 1.0
    rate, weight = successes / trials, z * z / trials
    centre = (rate + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(max(rate * (1 - rate), 0.0) / trials + weight / (4 * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def standard_error(successes: float, trials: float) -> float:
    """Return the standard error of a rate, half an event added to each side so that 0 of n is uncertain too."""
    rate = (successes + 0.5) / (trials + 1)
    return math.sqrt(rate * (1 - rate) / max(trials, 1))
