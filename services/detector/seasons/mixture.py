"""What a window is compared with in a profile: the mixture of its hours, or months, by the window's own clock.

A window is compared with p = sum(share_b p_b), where share_b of its rows fell into the hours of pool b (no model, the
same chi-squared law); its error is that of N rows, 1/N = sum(share_b² / N_b).
"""

from __future__ import annotations

import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.seasons.profile import Profile
from services.detector.statistics.arrays import Counts
from services.detector.structs import FloatArray, IntArray


def mixtures(profile: Profile, clocks: Counts, codes: slice) -> FloatArray:
    """Return what windows are compared with, as counts of so many rows as the mixture is worth.

    clocks: rows of each window in each part of the profile's cycle, [windows, HOURS or MONTHS]; codes: the column's.
    Shape [windows, codes].
    """
    counts = dense(profile.counts[:, codes], np.float64)
    found = np.empty((len(clocks), counts.shape[1]))
    _mix(dense(clocks, np.float64), dense(profile.pools, np.int64), counts, found)
    return found


@kernel
def _mix(clocks: FloatArray, pools: IntArray, counts: FloatArray, found: FloatArray) -> None:
    bins = counts.shape[1]
    sizes, total = np.zeros(counts.shape[0]), 0.0
    for pool in range(counts.shape[0]):
        for k in range(bins):
            sizes[pool] += counts[pool, k]
        total += sizes[pool]
    shares = np.zeros(counts.shape[0])
    for w in range(clocks.shape[0]):
        shares[:] = 0.0
        rows = 0.0
        for hour in range(pools.shape[0]):
            if sizes[pools[hour]] > 0.0:  # hours in which the column had no value say nothing of it
                shares[pools[hour]] += clocks[w, hour]
                rows += clocks[w, hour]
        found[w, :] = 0.0
        if total <= 0.0:
            continue
        error = 0.0
        for pool in range(counts.shape[0]):
            share = shares[pool] / rows if rows > 0.0 else sizes[pool] / total
            if share <= 0.0:
                continue
            error += share * share / sizes[pool]
            for k in range(bins):
                found[w, k] += share * counts[pool, k] / sizes[pool]
        for k in range(bins):
            found[w, k] /= error
