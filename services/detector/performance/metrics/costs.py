"""What errors cost, in money of the configuration."""

from __future__ import annotations

from services.detector.performance.metrics.value import Value, mean
from shared.cost import CostSpec


def cost_of(prices: CostSpec, false_negatives: int, false_positives: int, labels: int) -> Value:
    """Return the mean cost of a labelled prediction, with its normal interval."""
    total = false_negatives * prices.false_negative + false_positives * prices.false_positive
    squares = false_negatives * prices.false_negative**2 + false_positives * prices.false_positive**2
    return mean(total, squares, labels, "no labels")
