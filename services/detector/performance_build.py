"""How well the model did on its reference, and the error rates that count as none the worse."""

from __future__ import annotations

from collections import Counter

import numpy as np

from services.detector import budget
from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.baseline import ErrorMonitor, ReferencePerformance
from services.detector.column_build import build_column
from services.detector.ranks import Ranking, normal_scores
from services.detector.reference_table import ReferenceColumn, ReferenceTable
from services.detector.sequential import page_hinkley_bank
from services.detector.signals.labelled import (
    ABS_ERROR_HIGH,
    ERROR,
    ERROR_OF,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    class_codes,
    class_flags,
    difference,
    size_flags,
)
from services.detector.statistics.proportions import standard_error
from services.detector.structs import FloatArray
from shared.events.block import LABEL, PREDICTION

RESIDUAL = "signed_residual"
MAX_CLASS_MONITORS = 20
HIGH_ERROR_QUANTILE = 0.9
STEADY_RATIO = 1.25  # of p0 to the reference rate
MIN_ROWS = 200  # with fewer flags a rate is a guess
MAX_THRESHOLD = 21.0  # ln of once in 1e9 labels: a monitor that needs more is none
_STEPS = 12  # of the bisection for p0: 1/4096 of its bracket


def build_performance(
    table: ReferenceTable, shares: budget.Shares, rows_per_week: float
) -> ReferencePerformance | None:
    """Return the reference of all performance monitors; None without predictions, labels or one row with both."""
    if not (table.has(PREDICTION) and table.has(LABEL)):
        return None
    return (_regression if table.spec.task == "regression" else _classes)(table, shares, rows_per_week)


def _classes(table: ReferenceTable, shares: budget.Shares, rows_per_week: float) -> ReferencePerformance | None:
    predicted, actual = class_codes(table.classes, (table.table.column(PREDICTION), table.table.column(LABEL)))
    both = (predicted >= 0) & (actual >= 0)
    labels = int(both.sum())
    if labels == 0:
        return None
    if table.spec.task == "binary":
        names, positive = [ERROR, FALSE_NEGATIVE, FALSE_POSITIVE], table.spec.positive
    else:
        known = both & (actual < len(table.classes))
        frequent = Counter(actual[known].tolist()).most_common(MAX_CLASS_MONITORS)
        names, positive = [ERROR, *(f"{ERROR_OF}{table.classes[code]}" for code in sorted(dict(frequent)))], ""
    flags = class_flags(names, table.classes, positive, predicted[both], actual[both])
    # Every flag is one update: rows with a positive label count once for errors and once for false negatives.
    updates = rows_per_week * float((~np.isnan(flags)).sum()) / table.rows
    threshold = budget.likelihood_threshold(shares.performance, updates)
    return ReferencePerformance(
        rows=labels,
        monitors=[_monitor(name, flags[:, place], threshold) for place, name in enumerate(names)],
        accuracy=float(1 - flags[:, 0].mean()),
    )


def _regression(table: ReferenceTable, shares: budget.Shares, rows_per_week: float) -> ReferencePerformance | None:
    residuals = difference(table.numbers(PREDICTION), table.numbers(LABEL))
    residuals = residuals[~np.isnan(residuals)]
    if residuals.size == 0:
        return None
    high_error = float(np.quantile(np.abs(residuals), HIGH_ERROR_QUANTILE))
    updates = 2 * rows_per_week * residuals.size / table.rows  # the size of an error, and its sign
    threshold = budget.likelihood_threshold(shares.performance, updates)
    raw = ReferenceColumn(RESIDUAL, RESIDUAL, "prediction", "numeric", residuals, np.zeros(0, np.int32), [])
    column, _ = build_column(raw, np.zeros((residuals.size, 1), dtype=np.int32), 1)
    scores = normal_scores(Ranking(column).place(residuals)[1])
    bank = page_hinkley_bank(np.array([column.normal_mean]), shares.performance, updates)
    alarms = len(bank.update(scores[:, None])) > 0
    return ReferencePerformance(
        rows=residuals.size,
        monitors=[_monitor(ABS_ERROR_HIGH, size_flags([ABS_ERROR_HIGH], residuals, high_error)[:, 0], threshold)],
        mae=float(np.abs(residuals).mean()),
        rmse=float(np.sqrt(np.square(residuals).mean())),
        mean_error=float(residuals.mean()),
        high_error=high_error,
        residual=column,
        residual_reason=_residual_reason(residuals, alarms=alarms),
    )


def _residual_reason(residuals: FloatArray, *, alarms: bool) -> str:
    if alarms:
        return "unsteady: alarms on the reference itself"
    return f"reference is thin ({residuals.size} labels; needs {MIN_ROWS})" if residuals.size < MIN_ROWS else ""


def _monitor(name: str, flags: FloatArray, threshold: float) -> ErrorMonitor:
    """Return the monitor of one column of flags, [rows] in time order.

    p0 is the smallest rate, at least two standard errors above the reference's, for which the CUSUM that will watch it
    raises no alarm on the reference itself. Where errors cluster, a threshold above the budget's buys a p0 that is
    still near the reference: later alarms, never more of them.
    """
    defined = flags[~np.isnan(flags)]
    errors, rows = float(defined.sum()), defined.size
    if rows == 0:
        return ErrorMonitor(
            name=name, rows=0, rate=0.0, p0=0.5, threshold=threshold, reason="the reference has no such labels"
        )
    rate = errors / rows
    lowest = min(max(rate + 2 * standard_error(errors, rows), 1e-6), 1 - 1e-6)
    budgeted, p0 = threshold, _quiet_rate(defined, lowest, threshold)
    while p0 > max(STEADY_RATIO * rate, lowest) and threshold + 1 <= MAX_THRESHOLD:
        threshold += 1
        p0 = _quiet_rate(defined, lowest, threshold)
    reason = ""
    if rows < MIN_ROWS:
        reason = f"reference is thin ({rows} such labels; needs {MIN_ROWS})"
    elif lowest > STEADY_RATIO * max(rate, 1e-9):
        reason = f"reference is thin: {errors:.0f} errors do not fix the rate to within a quarter"
    elif p0 > STEADY_RATIO * rate:
        threshold, p0 = budgeted, _quiet_rate(defined, lowest, budgeted)
        reason = f"unsteady: no alarm on the reference only from a rate of {p0:.3g} against {rate:.3g}"
    return ErrorMonitor(name=name, rows=rows, rate=rate, p0=p0, threshold=threshold, reason=reason)


def _quiet_rate(flags: FloatArray, lowest: float, threshold: float) -> float:
    """Return the smallest rate >= `lowest` under which `flags` raise no alarm; alarms only fall with the rate."""
    if not _alarms(flags, lowest, threshold):
        return lowest
    low, high = lowest, (1 + lowest) / 2
    while _alarms(flags, high, threshold) and high < 1 - 1e-6:
        low, high = high, (1 + high) / 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _alarms(flags, middle, threshold) else (low, middle)
    return high


def _alarms(flags: FloatArray, p0: float, threshold: float) -> bool:
    bank = BernoulliCusumBank.for_increase(np.array([p0]), np.array([threshold]))
    return len(bank.update(flags[:, None])) > 0
