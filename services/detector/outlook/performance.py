"""The outlook of the monitors of labels: the likelihood-ratio CUSUMs of error rates, and a regression's residual."""

from __future__ import annotations

from services.detector import budget
from services.detector.banks.bernoulli_cusum import INCREASES
from services.detector.banks.page_hinkley import VERDICT_DELTA
from services.detector.baseline import ALL, Baseline, ErrorMonitor
from services.detector.outlook.sequential import false_means, mean_found, too_few
from services.detector.outlook.series import PERFORMANCE, Binds, Outlook, Series, Sight, rows_per_week
from services.detector.performance_build import RESIDUAL
from services.detector.statistics import power


def of_performance(baseline: Baseline, shares: budget.Shares) -> Outlook:
    """Return the outlook of the calibrated monitors, with labels that come as often as the reference has them."""
    reference = baseline.performance
    if reference is None:
        return Outlook(false_per_week=0.0, is_bound=True, series=[])
    each = rows_per_week(baseline) / max(baseline.rows, 1)  # live rows in a week to one of the reference
    false = sum(budget.likelihood_chance(m.threshold, each * m.rows) for m in reference.monitors if not m.reason)
    series = [_error_rate(monitor, each * monitor.rows) for monitor in reference.monitors]
    if reference.residual is not None:
        labels = each * reference.rows
        updates = max(labels + sum(each * monitor.rows for monitor in reference.monitors), 1.0)
        threshold = budget.page_hinkley_threshold(shares.performance, updates, VERDICT_DELTA)
        false += 0.0 if reference.residual_reason else labels * false_means(threshold)
        series.append(_residual(reference.residual_reason, threshold, labels))
    return Outlook(false_per_week=false, is_bound=True, series=series)


def _error_rate(monitor: ErrorMonitor, labels: float) -> Series:
    rate = power.rate_found(monitor.p0, monitor.threshold, labels, INCREASES)
    is_armed, is_seen = not monitor.reason, rate < 1
    sight = Sight(rate=rate, reference_rate=monitor.rate)
    return Series(
        name=monitor.name,
        segment=ALL,
        kind=PERFORMANCE,
        detector="lr_cusum",
        why_not=monitor.reason,
        binds=Binds.BUDGET if is_armed else None,
        sight=sight if is_armed and is_seen else None,
        why_blind=f"a week brings {labels:.0f} labels, too few" if is_armed and not is_seen else "",
    )


def _residual(why_not: str, threshold: float, labels: float) -> Series:
    why_blind = "" if why_not else too_few(labels)
    shift = None if why_not or why_blind else mean_found(threshold, labels)
    return Series(
        name=RESIDUAL,
        segment=ALL,
        kind=PERFORMANCE,
        detector="page_hinkley",
        why_not=why_not,
        binds=None if shift is None else shift.binds,
        sight=None if shift is None else Sight(sd=shift.sd),
        why_blind=why_blind,
    )
