"""One challenger beside the champion: what the pairs say so far, and when it is worth telling."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from services.detector.challengers.betting import (
    SIZES,
    STEPS,
    e_value,
    interval,
    labels_needed,
    log_evidence,
    mean,
)
from services.detector.structs import IntArray
from shared.events.comparison import Difference, Verdict

FIRST_MARK = 100  # pairs after which it is told how things stand, and again at ten times as many


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides."""

    margin: float
    limit: float  # logarithm of the e-value that does


@dataclass(frozen=True, slots=True)
class Standing:
    """What follows from the counts."""

    estimate: float
    low: float
    high: float
    e_better: float
    e_worse: float
    labels_needed: int | None


class Tested(msgspec.Struct):
    """The state of one comparison."""

    counts: IntArray = msgspec.field(default_factory=lambda: np.zeros(SIZES, np.int64))  # pairs by difference
    verdict: Verdict = Verdict.UNDECIDED
    begun: int | None = None  # log time of the first pair
    mark: int = FIRST_MARK  # pairs at which it is told of next
    told: int = 0  # how often it was

    @property
    def pairs(self) -> int:
        """Return how many pairs are compared."""
        return int(self.counts.sum())

    def take(self, differences: IntArray, terms: Terms, log_time: int) -> bool:
        """Count pairs; return whether it is to be told of: the verdict changed, or a mark was reached."""
        self.counts += np.bincount(differences + STEPS, minlength=SIZES)
        self.begun = log_time if self.begun is None else self.begun
        before = self.verdict
        self.verdict = turned(before, self.counts, terms)
        is_marked = self.pairs >= self.mark
        while self.pairs >= self.mark:
            self.mark *= 10
        return is_marked or self.verdict is not before

    def standing(self, terms: Terms) -> Standing:
        """Return everything that follows from the counts."""
        low, high = interval(self.counts, terms.limit)
        better, worse = evidence(self.counts, terms.margin)
        return Standing(mean(self.counts), low, high, e_value(better), e_value(worse), self.labels_needed(terms))

    def labels_needed(self, terms: Terms) -> int | None:
        """Return how many further pairs a verdict takes, if the gap stays as it is."""
        if self.verdict is not Verdict.UNDECIDED:
            return 0
        side = self.counts if mean(self.counts) > 0 else self.counts[::-1]
        return labels_needed(side, terms.margin, terms.limit)

    def differences(self) -> list[Difference]:
        """Return the counts as they are told."""
        return differences_of(self.counts)


def differences_of(counts: IntArray) -> list[Difference]:
    """Return counts as they are told."""
    return [Difference(int(size) - STEPS, int(counts[size])) for size in np.flatnonzero(counts)]


def turned(before: Verdict, counts: IntArray, terms: Terms) -> Verdict:
    """Return the verdict after all these pairs; one stands until its evidence is gone, or the opposite is sure."""
    better, worse = evidence(counts, terms.margin)
    if better >= terms.limit:
        return Verdict.BETTER
    if worse >= terms.limit:
        return Verdict.WORSE
    is_gone = (before is Verdict.BETTER and better < 0) or (before is Verdict.WORSE and worse < 0)
    return Verdict.UNDECIDED if is_gone else before


def evidence(counts: IntArray, margin: float) -> tuple[float, float]:
    """Return the logarithms of the e-values that the challenger is better, and worse, by more than the margin."""
    return log_evidence(counts, margin), log_evidence(counts[::-1], margin)
