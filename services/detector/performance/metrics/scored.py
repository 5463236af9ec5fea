"""Metrics of scores, from sums over the costs of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from services.detector.performance.metrics.row_costs import BINS
from services.detector.performance.metrics.value import Metrics, around, mean, undefined

NO_SCORES = "no scores"


def scored(sums: Mapping[str, float]) -> Metrics:
    """Return log loss, Brier score and expected calibration error (`ece`) of the rows that have scores."""
    n = int(sums["scored"])
    if not n:
        return dict.fromkeys(("log_loss", "brier", "ece"), undefined(NO_SCORES))
    gap = math.fsum(abs(sums[f"calibration_{part}"]) for part in range(BINS)) / n
    # Each row adds ± (score - truth), whose square is the Brier score's share of it, or less.
    spread = max(sums["brier"] / n - gap * gap, 0.0)
    return {
        "log_loss": mean(sums["log_loss"], sums["log_loss_squared"], n, NO_SCORES),
        "brier": mean(sums["brier"], sums["brier_squared"], n, NO_SCORES),
        "ece": around(gap, math.sqrt(spread / n), 0.0, 1.0),
    }
