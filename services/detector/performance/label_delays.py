"""How long labels take, and whether as many have come as usual by now.

Of the newest cohorts of all traffic the ages of their labels are counted in fixed bins, eight to a factor of ten. Once
cohorts are final they tell the usual: which share of predictions has its label by which age. What is usual follows the
last months, and is not known before the first cohort is final.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from services.detector.structs import IntArray

FEWEST_MS, PER_DECADE, DECADES = 1_000, 8, 8  # from a second to three years
EDGES_MS = np.array([round(FEWEST_MS * 10 ** (step / PER_DECADE)) for step in range(PER_DECADE * DECADES + 1)])
MOST_COHORTS = 4_096  # whose labels' ages are kept
MEMORY = 1_000_000  # predictions of final cohorts; beyond, what is older counts half
LEAST_SHARE = 0.5  # of the usual number of labels, with fewer of which a loss is not told


class LabelDelays(msgspec.Struct):
    """The ages of labels of the newest cohorts, by the cohort's number, and what is usual."""

    ages: dict[int, np.ndarray] = {}  # int32 [bins]
    usual: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(len(EDGES_MS) + 1, np.int64))  # labels
    usual_predicted: int = 0

    def add(self, cohorts: IntArray, ages_ms: IntArray) -> None:
        """Count labels; a cohort below 0 is none."""
        bins = np.searchsorted(EDGES_MS, ages_ms)
        for cohort in np.unique(cohorts[cohorts >= 0]).tolist():
            counts = self.ages.setdefault(cohort, np.zeros(len(self.usual), np.int32))
            counts += np.bincount(bins[cohorts == cohort], minlength=len(counts)).astype(np.int32)
        while len(self.ages) > MOST_COHORTS:
            del self.ages[min(self.ages)]

    def finish(self, cohort: int, predicted: int) -> None:
        """Take that a cohort is final: it is usual now."""
        if self.usual_predicted >= MEMORY:
            self.usual //= 2
            self.usual_predicted //= 2
        self.usual_predicted += predicted
        self.usual += self.ages.get(cohort, 0)

    def quantile_seconds(self, cohort: int, share: float) -> float | None:
        """Return the age by which that share of a cohort's labels had come, straight lines within bins."""
        counts = self.ages.get(cohort)
        if counts is None or not counts.any():
            return None
        reached = np.cumsum(counts)
        wanted = share * int(reached[-1])
        at = int(np.searchsorted(reached, wanted))
        low = 0 if at == 0 else int(EDGES_MS[at - 1])
        high = int(EDGES_MS[min(at, len(EDGES_MS) - 1)])
        within = (wanted - (int(reached[at]) - int(counts[at]))) / int(counts[at])
        return (low + (high - low) * within) / 1_000

    def share_of_usual(self, cohorts: Sequence[tuple[int, int, int]], now_ms: int) -> float | None:
        """Return how many labels have come of so many that usually have come by now; None where that is not known.

        cohorts: of each its number, its predictions and the time of the last of them.
        """
        if not self.usual_predicted:
            return None
        by_age = np.cumsum(self.usual) / self.usual_predicted
        labels, expected = 0, 0.0
        for cohort, predicted, last_ms in cohorts:
            whole = int(np.searchsorted(EDGES_MS, max(now_ms - last_ms, 0), side="right"))  # bins that have passed
            if whole:
                counts = self.ages.get(cohort)
                labels += 0 if counts is None else int(counts.sum())
                expected += predicted * float(by_age[whole - 1])
        return labels / expected if expected >= 1.0 else None


class Arrivals:
    """The labels of one block, counted as far as they are asked for: no cut of blocks shows in what is usual."""

    def __init__(self, delays: LabelDelays, cohorts: IntArray, ages_ms: IntArray) -> None:
        self._delays, self._cohorts, self._ages_ms = delays, cohorts, ages_ms
        self._counted = 0

    def count(self, upto: int) -> None:
        """Count the labels before row `upto`."""
        rows = slice(self._counted, upto)
        self._delays.add(self._cohorts[rows], self._ages_ms[rows])
        self._counted = max(upto, self._counted)
