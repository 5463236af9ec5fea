"""The rank of a value among those of its hour: what sequential detectors see of a column that goes by the hour.

Normal scores under the reference are counted in bins of a tenth; a value's rank in its hour is the mid-rank of its bin,
and its score the normal quantile of that, less the mean of the hour's: without a change it is 0 in the mean. Between
the middles of two hours both are interpolated, for what changes in an hour would use up what a detector tolerates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.detector.ranks import CLIP, normal_scores
from services.detector.seasons.clock import hours_of_week
from services.detector.seasons.profile import Profile
from services.detector.signals.columns import MISSING
from services.detector.structs import CodeArray, FloatArray, IntArray
from shared.durations import UNITS_MS

BINS = 61  # of a tenth, from -CLIP to CLIP
_HALF_HOUR = UNITS_MS["h"] // 2
_PER_UNIT = (BINS - 1) / (2 * CLIP)


def score_bins(scores: FloatArray) -> CodeArray:
    """Return the bin of each normal score, MISSING where it is NaN."""
    is_known = ~np.isnan(scores)
    return np.where(is_known, np.rint((np.where(is_known, scores, 0.0) + CLIP) * _PER_UNIT), MISSING).astype(np.int32)


class HourlyRanks:
    """The numeric columns that go by the hour of all traffic, by their place among the numeric ones."""

    def __init__(self, profile: Profile, columns: Sequence[int]) -> None:
        self._pools = profile.pools
        self._tables = {column: _table(profile, column) for column in columns}

    def of(self, ranks: FloatArray, scores: FloatArray, ts: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return ranks and normal scores, those of these columns by the time of each row; NaN stays NaN."""
        before = ts - _HALF_HOUR
        first, second = (self._pools[hours_of_week(times)] for times in (before, ts + _HALF_HOUR))
        late = before % (2 * _HALF_HOUR) / (2 * _HALF_HOUR)
        ranks, found = ranks.copy(), scores.copy()
        for series, tables in self._tables.items():
            bins = score_bins(scores[:, series])
            at = np.flatnonzero(bins >= 0)
            for table, target in zip(tables, (ranks, found), strict=True):
                target[at, series] = (1 - late[at]) * table[first[at], bins[at]] + late[at] * table[
                    second[at], bins[at]
                ]
        return ranks, found


def _table(profile: Profile, column: int) -> tuple[FloatArray, FloatArray]:
    """Return rank and score of every bin in every pool of hours."""
    counts = profile.scores[:, column * BINS : (column + 1) * BINS] + 1e-6  # a bin that never was has a rank as well
    shares = counts / counts.sum(axis=1, keepdims=True)
    ranks: FloatArray = np.cumsum(shares, axis=1) - shares / 2
    scores = normal_scores(ranks)
    return ranks, scores - (shares * scores).sum(axis=1, keepdims=True)
