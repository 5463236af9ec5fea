"""From the budget to the threshold of the monitors of closed cohorts."""

from __future__ import annotations

from services.detector import budget
from services.detector.baseline import Baseline
from services.detector.performance.closed.cusum import SLACK
from services.detector.performance.closed.reference import SIDES, ClosedReference


def updates_per_week(baseline: Baseline, reference: ClosedReference) -> float:
    """Return how many pools a week all sums together take, where labels come as often as in the reference."""
    labels = (baseline.rows_per_week or float(baseline.rows)) * reference.labels / max(baseline.rows, 1)
    return max(sum(map(len, SIDES.values())) * labels / reference.pool_labels, 1.0)


def threshold(baseline: Baseline, reference: ClosedReference, share: float) -> float:
    """Return the threshold at which all sums together make `share` false detections a week."""
    return budget.one_sided_threshold(share, updates_per_week(baseline, reference), SLACK)


def chance(baseline: Baseline, reference: ClosedReference, statistic: float) -> float:
    """Return how many detections at least this strong a week without change brings."""
    run_length = 2.0 * budget.cusum_run_length(statistic, SLACK)
    return updates_per_week(baseline, reference) / run_length
