"""How well the reference's scores rank its labels, and what share of labels is positive at each score."""

from __future__ import annotations

import math

import msgspec

AUC, CALIBRATION = "roc_auc", "calibration"
SIDES = {AUC: (-1.0,), CALIBRATION: (1.0, -1.0)}  # to which sides a monitor looks: values that are more, or less
LEAST, LEAST_SHARE = 0.01, 0.15  # a change matters that is as large, or so large a share of what there is to lose


class ClosedReference(msgspec.Struct, frozen=True, kw_only=True):
    """What closed cohorts of all traffic are compared with; areas are of scores counted in bins.

    Scores are cut into groups, and the rate of positive labels in each is what calibration means: a model whose scores
    are no probabilities is compared with what its own scores meant in the reference.
    """

    labels: int
    pool_labels: float  # that come until a pool has enough of each class, in the mean
    area: float
    of_positives: float  # DeLong's variances of what one positive, or one negative, adds to the area
    of_negatives: float
    group_ends: list[int]  # the first bin of scores of each group but the first
    group_names: list[str]
    group_positives: list[int]
    group_labels: list[int]
    scatter: dict[str, float]  # by monitor: how many times as much own pools scatter as they would by chance, >= 1
    reasons: dict[str, str]  # by monitor: why it does not page; empty where it does
    closed_ms: int | None  # the age at which nearly all labels had come; None where the reference does not tell

    @property
    def positives(self) -> int:
        """Return the positive labels."""
        return sum(self.group_positives)

    @property
    def area_error(self) -> float:
        """Return the standard error of the area."""
        return self.area_spread(self.positives, self.labels - self.positives)

    def area_spread(self, positives: int, negatives: int) -> float:
        """Return the standard error that an area of so many labels would have, were the model as it was."""
        return math.sqrt(self.of_positives / positives + self.of_negatives / negatives)

    def usual(self, monitor: str) -> float:
        """Return what a monitor compares with."""
        return self.area if monitor == AUC else 0.0

    def gate(self, monitor: str) -> float:
        """Return the smallest change that matters: of the area, or of the share of positive labels."""
        share = self.positives / self.labels
        to_lose = 1.0 - self.area if monitor == AUC else min(share, 1.0 - share)
        return min(LEAST, LEAST_SHARE * to_lose)

    def threshold(self, monitor: str, side: float) -> float:
        """Return the value beyond which a monitor's change matters, to one side."""
        return self.usual(monitor) + side * self.gate(monitor)
