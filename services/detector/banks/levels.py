"""Which levels of a column are rare enough to be watched one by one, and what the reference knows of their rates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from services.detector.statistics.arrays import Counts
from services.detector.structs import FloatArray, IntArray

RARE_SHARE = 0.05  # of the reference, as far as its rows can tell
MOST_LEVELS = 8  # watched one by one; the other rare ones together
UNWATCHED = -1

_ERRORS = 2.0  # standard errors of a reference's rate that are no change


@dataclass(frozen=True, slots=True)
class Rates:
    """What the reference says of flags; all arrays have one entry per series, strictly between 0 and 1."""

    observed: FloatArray
    low: FloatArray  # the true rate may be as low as this: a decrease is one from here
    high: FloatArray  # and as high: an increase is one from here


def rare_levels(counts: Counts) -> list[int]:
    """Return the codes to watch one by one: the eight most frequent of those rare in a reference but not absent."""
    return _rare(counts)[:MOST_LEVELS]


def watched_levels(counts: Counts) -> IntArray:
    """Return for each code the number of its watched level, or UNWATCHED.

    Rare levels are numbered from 0 in the order of `rare_levels`; the rare ones after those share the next number.
    """
    watched = np.full(len(counts), UNWATCHED, np.int64)
    for position, code in enumerate(_rare(counts)):
        watched[code] = min(position, MOST_LEVELS)
    return watched


def reference_rates(counts: Counts, rows: Counts) -> Rates:
    """Return the rates of flags that were set `counts` times in `rows` events of a reference, both [series].

    Half an event is added to either side, so that a flag that was never set has a rate. Bounds are Wilson's, two
    standard errors away.
    """
    n = np.asarray(rows, np.float64) + 1.0
    rate = (np.asarray(counts, np.float64) + 0.5) / n
    middle = rate + _ERRORS**2 / (2.0 * n)
    reach = _ERRORS * np.sqrt(rate * (1.0 - rate) / n + _ERRORS**2 / (4.0 * n * n))
    shrink = 1.0 + _ERRORS**2 / n
    return Rates(rate, (middle - reach) / shrink, (middle + reach) / shrink)


def _rare(counts: Counts) -> list[int]:
    values: list[float] = counts.tolist()
    rows = sum(values)
    most = RARE_SHARE * rows + _ERRORS * math.sqrt(RARE_SHARE * (1.0 - RARE_SHARE) * rows)
    return sorted((code for code, count in enumerate(values) if 0 < count < most), key=lambda code: -values[code])
