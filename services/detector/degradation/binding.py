"""Rules about metrics against a baseline: what each one compares a cohort of a segment with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from services.detector.baseline import ALL, Baseline, ReferenceMetric
from services.detector.performance.costs import Prices
from services.detector.performance.metrics.value import Value
from shared.degradation import COST, DegradationRule, Form, Worse, of_class, read_degradation, why_no_class
from shared.errors import ConfigurationError
from shared.monitors import ModelSpec

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Judged:
    """A metric of one cohort under one rule."""

    value: float
    error: float  # its standard error; 0 where nothing tells it
    limit: float  # beyond which the rule is met
    is_met: bool
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class BoundDegradation:
    """A rule with the reference's own values of its metric, by segment."""

    rule: DegradationRule
    reference: dict[str, ReferenceMetric]

    def watches(self, segment: str) -> bool:
        """Tell whether the rule looks at a segment."""
        return segment == ALL or self.rule.segments

    def was_good(self, segment: str) -> bool:
        """Tell whether the reference was as good as the first value of a rule from one value to another."""
        reference = self.reference.get(segment)
        return reference is not None and self.is_good(reference.value)

    def is_good(self, value: float) -> bool:
        """Tell whether a value is as good as the first one of a rule from one value to another."""
        if self.rule.form is not Form.FROM_TO:
            return False
        return value >= self.rule.start if self.rule.worse is Worse.LOWER else value <= self.rule.start

    def judge(self, segment: str, metric: Value, *, was_good: bool) -> Judged | None:
        """Return what the rule says of a cohort's metric; None where there is nothing to compare.

        was_good: whether the segment had the first value of a rule from one value to another.
        """
        reference, value, error = self.reference.get(segment), metric.value, metric.error
        if value is None:
            return None
        match self.rule.form:
            case Form.LIMIT:
                return self._beyond(value, error, self.rule.number)
            case Form.FROM_TO:
                limit = self.rule.number
                is_bad = value <= limit if self.rule.worse is Worse.LOWER else value >= limit
                return Judged(value, error or 0.0, limit, is_met=was_good and is_bad)
            case Form.CHANGE if reference is not None:
                change = -self.rule.number if self.rule.worse is Worse.LOWER else self.rule.number
                return self._beyond(value, error, reference.value + change)
            case Form.SHARE if reference is not None and reference.value > 0.0:
                share = -self.rule.number if self.rule.worse is Worse.LOWER else self.rule.number
                return self._beyond(value, error, reference.value * (1.0 + share))
            case Form.P_VALUE if reference is not None and error is not None:
                return self._surely(value, error, reference)
            case _:
                return None

    def _beyond(self, value: float, error: float | None, limit: float) -> Judged:
        is_met = value < limit if self.rule.worse is Worse.LOWER else value > limit
        return Judged(value, error or 0.0, limit, is_met)

    def _surely(self, value: float, error: float, reference: ReferenceMetric) -> Judged | None:
        """Compare with the reference's value by the standard errors of both; a metric about 0 may move either way."""
        both = math.hypot(error, reference.error or 0.0)
        if both == 0.0:
            return None
        away = value - reference.value
        is_lower = away < 0.0 if self.rule.worse is Worse.AWAY else self.rule.worse is Worse.LOWER
        sides = 2 if self.rule.worse is Worse.AWAY else 1
        p_value = min(sides * _NORMAL.cdf((away if is_lower else -away) / both), 1.0)
        reach = _NORMAL.inv_cdf(1.0 - self.rule.number / sides) * both
        limit = reference.value - reach if is_lower else reference.value + reach
        return Judged(value, error, limit, p_value < self.rule.number, p_value)


def bind_degradation(model: str, spec: ModelSpec, baseline: Baseline) -> list[BoundDegradation]:
    """Return the rules that look at cohorts.

    Raises:
        ConfigurationError: one compares with what the reference does not have; names the rule's path. The baseline of a
            model that warms up may have no labels: then such a rule never fires.
    """
    path = f"models.{model}.degradation"
    rules = [rule for rule in read_degradation(path, spec) if not rule.heard_at_once]
    found = [BoundDegradation(rule, _of_reference(rule, spec, baseline)) for rule in rules]
    for bound in found:
        why = why_no_class(bound.rule.metric, baseline.classes) or why_never(bound)
        if why and spec.warm_up is None:
            raise ConfigurationError(f"{path}.{bound.rule.metric}", f"{bound.rule.text}: {why}")
    return found


def why_never(bound: BoundDegradation) -> str:
    """Return why a rule can never fire on all traffic; empty where it can."""
    if bound.rule.form in {Form.LIMIT, Form.FROM_TO}:
        return ""
    reference = bound.reference.get(ALL)
    if reference is None:
        return f"the reference has no {bound.rule.metric} to compare with; give below, above, or from and to"
    if bound.rule.segments and _is_of_all(bound.rule.metric):
        return f"the reference's {bound.rule.metric} is known of all traffic only; give below or above, or no segments"
    if bound.rule.form is Form.SHARE and reference.value <= 0.0:
        return f"the reference's {bound.rule.metric} is {reference.value:.4g}, of which no share says anything"
    return ""


def _is_of_all(metric: str) -> bool:
    """Tell whether the reference has a metric of all traffic, and of no segment."""
    return metric == COST or of_class(metric)[1] is not None


def _of_reference(rule: DegradationRule, spec: ModelSpec, baseline: Baseline) -> dict[str, ReferenceMetric]:
    if baseline.performance is None:
        return {}
    prices = Prices.of(spec.cost, baseline) if rule.metric == COST else None
    if prices is not None:  # a baseline knows no prices: it stays what it is when they change
        return {ALL: ReferenceMetric(prices.reference, prices.reference_error)}
    return baseline.performance.metrics.get(rule.column, {})
