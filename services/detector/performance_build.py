"""How well the model did on its reference, and the error rates that count as none the worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import msgspec
import numpy as np

from services.detector import budget
from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.baseline import Baseline, ErrorMonitor, ReferencePerformance
from services.detector.column_build import build_column
from services.detector.performance.closed.build import build_closed
from services.detector.performance.label_ages import Buckets, LabelAges, odds_ratio, tilted
from services.detector.performance.metrics.rankings import row_metrics
from services.detector.ranks import Ranking, normal_scores
from services.detector.reference_table import ReferenceColumn, ReferenceTable
from services.detector.sequential import page_hinkley_bank
from services.detector.signals.columns import Codes
from services.detector.signals.labelled import class_codes, class_flags, difference, ndcg_losses, size_flags
from services.detector.signals.monitored import (
    ABS_ERROR_HIGH,
    ERROR,
    ERROR_OF,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    NDCG_LOSS,
)
from services.detector.statistics.arrays import BoolArray
from services.detector.statistics.proportions import standard_error
from services.detector.structs import FloatArray, IntArray
from shared.events.block import ITEMS, LABEL, PREDICTION

RESIDUAL = "signed_residual"
MAX_CLASS_MONITORS = 20
HIGH_ERROR_QUANTILE = 0.9
STEADY_RATIO = 1.25  # of p0 to the reference rate
MIN_ROWS = 200  # with fewer flags a rate is a guess
MAX_THRESHOLD = 21.0  # ln of once in 1e9 labels: a monitor that needs more is none
_STEPS = 12  # of the bisection for p0: 1/4096 of its bracket


Built = tuple[ReferencePerformance | None, LabelAges | None]
NOTHING: Built = (None, None)


def build_performance(table: ReferenceTable, shares: budget.Shares, rows_per_week: float) -> Built:
    """Return the reference of all performance monitors, and what of it depends on the age of labels.

    None without predictions, labels or one row with both; of ages None where no `label_ts` tells them.

    Raises:
        ConfigurationError: a row with a label has no `label_ts`, where others have.
    """
    if not (table.has(PREDICTION) and table.has(LABEL)):
        return NOTHING
    build = {"regression": _regression, "ranking": _rankings}.get(table.spec.task, _classes)
    return build(table, shares, rows_per_week)


def with_closed(baseline: Baseline, table: ReferenceTable, shares: budget.Shares) -> Baseline:
    """Return a baseline that also knows what closed cohorts are compared with; see `build_closed`."""
    if baseline.performance is None or baseline.task != "binary":
        return baseline
    predicted, actual = class_codes(table.classes, (table.table.column(PREDICTION), table.table.column(LABEL)))
    closed = build_closed(baseline, table, actual, predicted, shares.closed_cohorts)
    return msgspec.structs.replace(baseline, performance=msgspec.structs.replace(baseline.performance, closed=closed))


def _classes(table: ReferenceTable, shares: budget.Shares, rows_per_week: float) -> Built:
    predicted, actual = class_codes(table.classes, (table.table.column(PREDICTION), table.table.column(LABEL)))
    both = (predicted >= 0) & (actual >= 0)
    labels = int(both.sum())
    if labels == 0:
        return NOTHING
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
    order, buckets = _by_age(table, both, actual[both])
    found = [_monitor(name, flags[order, place], threshold, buckets) for place, name in enumerate(names)]
    performance = ReferencePerformance(
        rows=labels, monitors=[monitor for monitor, _ in found], accuracy=float(1 - flags[:, 0].mean())
    )
    return performance, _ages(buckets, found, np.zeros(buckets.count))


def _regression(table: ReferenceTable, shares: budget.Shares, rows_per_week: float) -> Built:
    residuals = difference(table.numbers(PREDICTION), table.numbers(LABEL))
    both = ~np.isnan(residuals)
    residuals = residuals[both]
    if residuals.size == 0:
        return NOTHING
    high_error = float(np.quantile(np.abs(residuals), HIGH_ERROR_QUANTILE))
    updates = 2 * rows_per_week * residuals.size / table.rows  # the size of an error, and its sign
    threshold = budget.likelihood_threshold(shares.performance, updates)
    raw = ReferenceColumn(RESIDUAL, RESIDUAL, "prediction", "numeric", residuals, np.zeros(0, np.int32), [])
    column, _ = build_column(raw, np.zeros((residuals.size, 1), dtype=np.int32), 1)
    scores = normal_scores(Ranking(column).place(residuals)[1])
    high = size_flags([ABS_ERROR_HIGH], residuals, high_error)[:, 0]
    order, buckets = _by_age(table, both, (high + 2 * (residuals > 0)).astype(np.int64))
    means = buckets.means(scores[order], lambda _: 1.0)
    shifts = np.zeros(buckets.count) if means is None else means - column.normal_mean
    bank = page_hinkley_bank(np.array([column.normal_mean]), shares.performance, updates)
    alarms = len(bank.update((scores[order] - shifts[buckets.of_label])[:, None])) > 0
    found = [_monitor(ABS_ERROR_HIGH, high[order], threshold, buckets)]
    performance = ReferencePerformance(
        rows=residuals.size,
        monitors=[monitor for monitor, _ in found],
        mae=float(np.abs(residuals).mean()),
        rmse=float(np.sqrt(np.square(residuals).mean())),
        mean_error=float(residuals.mean()),
        high_error=high_error,
        residual=column,
        residual_reason=_residual_reason(residuals, alarms=alarms),
    )
    return performance, _ages(buckets, found, shifts)


def _rankings(table: ReferenceTable, shares: budget.Shares, rows_per_week: float) -> Built:
    cutoffs = table.spec.cutoffs
    name = f"{NDCG_LOSS}{cutoffs[0]}"
    items, gains = (table.table.column(column).combine_chunks() for column in (ITEMS, LABEL))
    losses = ndcg_losses([name], row_metrics(items, gains, cutoffs), cutoffs)[:, 0]
    both = ~np.isnan(losses)
    losses = losses[both]
    if losses.size == 0:
        return NOTHING
    threshold = budget.likelihood_threshold(shares.performance, rows_per_week * losses.size / table.rows)
    order, buckets = _by_age(table, both, (losses > losses.mean()).astype(np.int64))
    found = [_monitor(name, losses[order], threshold, buckets)]
    performance = ReferencePerformance(rows=losses.size, monitors=[monitor for monitor, _ in found])
    return performance, _ages(buckets, found, np.zeros(buckets.count))


def _by_age(table: ReferenceTable, used: BoolArray, groups: Codes | IntArray) -> tuple[IntArray, Buckets]:
    """Return the order in which the labels of the used rows came, and their ages in that order.

    groups: [labels] what sort of label each is, from 0; they may come at other ages.
    """
    ages, ts = table.label_ages(used), table.ts
    labels = int(used.sum())
    if ages is None or ts is None:
        return np.arange(labels), Buckets.none(labels)
    order = np.argsort(ts[used] + ages, kind="stable")
    return order, Buckets.of_ages(ages[order], np.asarray(groups, np.int64)[order])


def _ages(buckets: Buckets, found: Sequence[tuple[ErrorMonitor, FloatArray]], shifts: FloatArray) -> LabelAges | None:
    if buckets.count == 1:
        return None
    p0 = np.column_stack([rates for _, rates in found])
    return LabelAges(edges_ms=buckets.edges_ms, p0=p0.tolist(), residual_shifts=shifts.tolist())


def _residual_reason(residuals: FloatArray, *, alarms: bool) -> str:
    if alarms:
        return "unsteady: alarms on the reference itself"
    return f"reference is thin ({residuals.size} labels; needs {MIN_ROWS})" if residuals.size < MIN_ROWS else ""


def _monitor(name: str, flags: FloatArray, threshold: float, buckets: Buckets) -> tuple[ErrorMonitor, FloatArray]:
    """Return the monitor of one column of flags, [rows] as their labels came, and p0 of each bucket of ages.

    p0 is the smallest rate, at least two standard errors above the reference's, for which the CUSUM that will watch it
    raises no alarm on the reference itself. Where errors cluster, a threshold above the budget's buys a p0 that is
    still near the reference: later alarms, never more of them. Where the age of a label tells of errors, each bucket
    has a p0 of its own, all raised alike until the reference is quiet.
    """
    defined = ~np.isnan(flags)
    errors, rows = float(flags[defined].sum()), int(defined.sum())
    if rows == 0:
        nothing = ErrorMonitor(
            name=name, rows=0, rate=0.0, p0=0.5, threshold=threshold, reason="the reference has no such labels"
        )
        return nothing, np.full(buckets.count, nothing.p0)
    rate = errors / rows
    quiet = _Quiet.of(flags[defined], Buckets(buckets.of_label[defined], buckets.edges_ms))
    lowest = quiet.lowest
    budgeted, p0 = threshold, quiet.rate(threshold)
    while p0 > max(STEADY_RATIO * rate, lowest) and threshold + 1 <= MAX_THRESHOLD:
        threshold += 1
        p0 = quiet.rate(threshold)
    reason = ""
    if rows < MIN_ROWS:
        reason = f"reference is thin ({rows} such labels; needs {MIN_ROWS})"
    elif lowest > STEADY_RATIO * max(rate, 1e-9):
        reason = f"reference is thin: {errors:.0f} errors do not fix the rate to within a quarter"
    elif p0 > STEADY_RATIO * rate:
        threshold, p0 = budgeted, quiet.rate(budgeted)
        reason = f"unsteady: no alarm on the reference only from a rate of {p0:.3g} against {rate:.3g}"
    monitor = ErrorMonitor(name=name, rows=rows, rate=rate, p0=p0, threshold=threshold, reason=reason)
    return monitor, quiet.by_age(p0)


@dataclass(frozen=True, slots=True)
class _Quiet:
    """Flags of the reference, and the rates under which they raise no alarm."""

    flags: FloatArray
    buckets: Buckets
    lowest: float  # that a rate over all labels may be
    uppers: FloatArray | None  # of each bucket then; None: the same of all

    @classmethod
    def of(cls, flags: FloatArray, buckets: Buckets) -> Self:
        """Return flags in order, none of them NaN."""
        uppers = buckets.upper_rates(flags, standard_error)
        if uppers is None:
            errors = float(flags.sum())
            lowest = errors / flags.size + 2 * standard_error(errors, flags.size)
        else:
            lowest = float(np.clip(uppers, 1e-6, 1 - 1e-6)[buckets.of_label].mean())
        return cls(flags, buckets, min(max(lowest, 1e-6), 1 - 1e-6), uppers)

    def by_age(self, p0: float) -> FloatArray:
        """Return the rate of each bucket, where that over all labels is `p0`."""
        if self.uppers is None:
            return np.full(self.buckets.count, p0)
        return np.array(tilted(np.clip(self.uppers, 1e-6, 1 - 1e-6).tolist(), odds_ratio(p0, self.lowest)))

    def rate(self, threshold: float) -> float:
        """Return the smallest rate under which the flags raise no alarm; alarms only fall with the rate."""
        if not self._alarms(self.lowest, threshold):
            return self.lowest
        low, high = self.lowest, (1 + self.lowest) / 2
        while self._alarms(high, threshold) and high < 1 - 1e-6:
            low, high = high, (1 + high) / 2
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._alarms(middle, threshold) else (low, middle)
        return high

    def _alarms(self, p0: float, threshold: float) -> bool:
        bank = BernoulliCusumBank.for_increase(self.by_age(p0)[:, None], np.array([threshold]))
        return len(bank.update(self.flags[:, None], self.buckets.of_label)) > 0
