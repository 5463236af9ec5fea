"""`alerts: {rules: [...]}` in `driftline.yaml`: what people know must not happen, beside what is calibrated.

A rule never spends the budget of false pages. It is a condition, and says what is wrong in one of two ways: `when:`
fires where the condition is true, `expect:` where it is false. A text on its own is short for the one that it can only
mean; a text that can be read both ways is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from shared.conditions import STATISTICS, Condition, parse_condition
from shared.errors import ConfigurationError
from shared.events.alert import Severity

MAX_RULES = 64
MIN_EVENTS, MAX_EVENTS = 100, 1_000_000

_EVENTS = re.compile(r"(\d{1,9}) +events")
_DAYS = {"1d": 1, "7d": 7}


class RuleSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rule with what its text alone does not say. Exactly one of `when` and `expect` is given."""

    when: str | None = None  # fires where this is true
    expect: str | None = None  # fires where this is false
    every: str | None = None  # `5000 events`, `1d` or `7d`: its windows; the detection windows where it is not said
    severity: Severity = Severity.WARNING


class Every(msgspec.Struct, frozen=True, kw_only=True):
    """Windows of so many rows of a cell, or of so many whole days of stream time. Weeks begin on Mondays."""

    events: int = 0
    days: int = 0

    @property
    def text(self) -> str:
        """Return what people write."""
        return f"{self.days}d" if self.days else f"{self.events} events"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is watched."""

    condition: Condition
    fires_when: bool  # what the condition must be for the rule to fire
    every: Every | None = None  # its windows; None: as many rows as a detection window has
    severity: Severity = Severity.WARNING

    @property
    def text(self) -> str:
        """Return what people read: the condition, marked where it is what must hold."""
        expected = "" if self.fires_when else "expect "
        every = "" if self.every is None else f" every {self.every.text}"
        return f"{expected}{self.condition.text}{every}"

    def fires(self, value: float, limit: float) -> bool:
        """Tell whether one window's value is what the rule is there for."""
        return self.condition.holds(value, limit) is self.fires_when


def read_rules(path: str, specs: Sequence[str | RuleSpec]) -> tuple[Rule, ...]:
    """Return the rules that stand in the configuration under `path`.

    Raises:
        ConfigurationError: one of them is none; names its path, and where in its text it goes wrong.
    """
    if len(specs) > MAX_RULES:
        raise ConfigurationError(path, f"{len(specs)} rules; at most {MAX_RULES}")
    rules: list[Rule] = []
    for number, spec in enumerate(specs):
        where = f"{path}.{number}"
        rule = _plain(where, spec) if isinstance(spec, str) else _rule(where, spec)
        if any(msgspec.structs.replace(rule, severity=other.severity) == other for other in rules):
            raise ConfigurationError(where, f"the rule {rule.text} is given twice")
        rules.append(rule)
    return tuple(rules)


def _plain(path: str, text: str) -> Rule:
    condition = _condition(path, text)
    statistic = STATISTICS[condition.statistic]
    if condition.comparison in statistic.alarming:
        return Rule(condition=condition, fires_when=True)
    if condition.comparison in statistic.promising:
        return Rule(condition=condition, fires_when=False)
    raise ConfigurationError(
        path,
        f"{text!r} can be read in two ways: write {{when: …}} if it says what is wrong, {{expect: …}} if it says what"
        " must hold",
    )


def _rule(path: str, spec: RuleSpec) -> Rule:
    if (spec.when is None) is (spec.expect is None):
        raise ConfigurationError(path, "give either when, which fires where it is true, or expect, where it is false")
    key, text = ("when", spec.when) if spec.when is not None else ("expect", spec.expect or "")
    return Rule(
        condition=_condition(f"{path}.{key}", text),
        fires_when=key == "when",
        every=None if spec.every is None else _every(f"{path}.every", spec.every),
        severity=spec.severity,
    )


def _condition(path: str, text: str) -> Condition:
    try:
        return parse_condition(text)
    except ValueError as exc:
        raise ConfigurationError(path, str(exc)) from exc


def _every(path: str, text: str) -> Every:
    if text in _DAYS:
        return Every(days=_DAYS[text])
    found = _EVENTS.fullmatch(text)
    events = 0 if found is None else int(found[1])
    if not MIN_EVENTS <= events <= MAX_EVENTS:
        raise ConfigurationError(
            path, f"{text[:40]!r} is no window: write 1d, 7d, or from {MIN_EVENTS:,} to {MAX_EVENTS:,} like 5000 events"
        )
    return Every(events=events)
