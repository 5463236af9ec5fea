"""Latencies in log-spaced bins: quantiles within 2 % of the true ones, in bounded memory, whatever their order.

Masson, Rim and Lee, DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees, 2019.
"""

from __future__ import annotations

import math

import numpy as np

from services.detector.structs import FloatArray, IntArray

ACCURACY = 0.02  # relative error of a quantile, from `LEAST_MS` to `LARGEST_MS`
LEAST_MS, LARGEST_MS = 0.01, 1e7  # what lies beyond counts as these: ten microseconds, and three hours
_GAMMA = (1.0 + ACCURACY) / (1.0 - ACCURACY)
_STEPS = math.ceil(math.log(LARGEST_MS / LEAST_MS) / math.log(_GAMMA))
_EDGES = np.array([LEAST_MS * math.pow(_GAMMA, step) for step in range(_STEPS)] + [LARGEST_MS])
BINS = len(_EDGES) + 1


def counts_of(latencies_ms: FloatArray) -> IntArray:
    """Return how many latencies are in each bin; NaN is in none."""
    known = latencies_ms[~np.isnan(latencies_ms)]
    return np.bincount(np.searchsorted(_EDGES, known), minlength=BINS).astype(np.int64)


def quantile_ms(counts: IntArray, share: float) -> float | None:
    """Return the latency that a share of those counted do not exceed; None where there are none."""
    total = int(counts.sum())
    if total == 0:
        return None
    place = int(np.searchsorted(np.cumsum(counts), max(math.ceil(share * total), 1)))
    if place == 0:
        return LEAST_MS
    if place >= len(_EDGES):
        return LARGEST_MS
    return float(_EDGES[place]) * 2.0 / (_GAMMA + 1.0)
