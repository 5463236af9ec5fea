"""The outlook of the monitors of closed cohorts."""

from __future__ import annotations

from services.detector import budget
from services.detector.baseline import ALL, Baseline
from services.detector.outlook.series import PERFORMANCE, Binds, Outlook, Series, Sight
from services.detector.performance.closed.cusum import SLACK, SURE
from services.detector.performance.closed.pool import reference_pool
from services.detector.performance.closed.reference import SIDES, ClosedReference
from services.detector.performance.closed.threshold import chance, threshold, updates_per_week
from services.detector.performance.closed.watch import COHORT_CUSUM


def of_closed_cohorts(baseline: Baseline, shares: budget.Shares) -> Outlook:
    """Return the outlook of the monitors of closed cohorts, with labels that come as often as the reference has them.

    A week is one of closed cohorts: the time until they close comes on top.
    """
    found = None if baseline.performance is None else baseline.performance.closed
    if found is None:
        return Outlook(false_per_week=0.0, is_bound=True, series=[])
    limit, sums = threshold(baseline, found, shares.closed_cohorts), sum(map(len, SIDES.values()))
    armed = sum(len(sides) for monitor, sides in SIDES.items() if not found.reasons[monitor])
    return Outlook(
        false_per_week=chance(baseline, found, limit) * armed / sums,
        is_bound=True,
        series=[_series(monitor, found, limit, updates_per_week(baseline, found) / sums) for monitor in SIDES],
    )


def _series(monitor: str, found: ClosedReference, limit: float, pools: float) -> Series:
    why_not = found.reasons[monitor]
    is_seen = pools >= 1.0 and not why_not
    usual = reference_pool(found)[monitor]
    change = (limit / max(pools, 1.0) + SLACK) * usual.error * found.scatter[monitor] + SURE * usual.reference_error
    gate = found.gate(monitor)
    return Series(
        name=monitor,
        segment=ALL,
        kind=PERFORMANCE,
        detector=COHORT_CUSUM,
        why_not=why_not,
        binds=None if not is_seen else Binds.GATE if gate > change else Binds.BUDGET,
        sight=Sight(change=max(gate, change)) if is_seen else None,
        why_blind="" if why_not or is_seen else "a week closes too few labels of each class",
    )
