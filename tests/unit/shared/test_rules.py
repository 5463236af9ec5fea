"""What a rule of the configuration fires on."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.events.alert import Severity
from shared.monitors import parse_monitors
from shared.rules import Rule, RuleSpec, read_rules

EXAMPLES = b"""
models:
  m:
    task: regression
    reference: r.csv
    alerts:
      rules:
        - psi(car_value) > 0.2
        - ks_pvalue(*) < 0.01 for 3 windows
        - mean(amount) > 1.2x reference
        - max(age) <= 120
        - {when: "psi(car_value, salary_range=low) > .2", every: 1000 events, severity: critical}
        - {expect: "count(age) >= 900", severity: info}
"""


def rule(spec: str | RuleSpec) -> Rule:
    (found,) = read_rules("rules", [spec])
    return found


def test_rules_are_read_from_the_configuration() -> None:
    rules = read_rules("rules", parse_monitors(EXAMPLES).models["m"].alerts.rules)

    assert [(found.text, found.severity.value) for found in rules] == [
        ("psi(car_value) > 0.2", "warning"),
        ("ks_pvalue(*) < 0.01 for 3 windows", "warning"),
        ("mean(amount) > 1.2x reference", "warning"),
        ("expect max(age) <= 120", "warning"),
        ("psi(car_value, salary_range=low) > 0.2 every 1000 events", "critical"),
        ("expect count(age) >= 900", "info"),
    ]


@pytest.mark.parametrize(
    ("text", "fires_at", "is_quiet_at"),
    [
        ("psi(x) > 0.2", 0.3, 0.1),
        ("chi2_pvalue(x) < 0.05", 0.01, 0.5),
        ("missing_rate(x) > 0.1", 0.2, 0.0),
        ("mean(x) > 5", 6.0, 4.0),
        ("mean(x) < 5", 4.0, 6.0),
        ("max(age) <= 120", 121.0, 120.0),
        ("max(age) > 120", 121.0, 120.0),
        ("min(age) >= 18", 17.0, 18.0),
        ("min(age) < 18", 17.0, 18.0),
    ],
)
def test_a_text_fires_on_what_it_can_only_mean(text: str, fires_at: float, is_quiet_at: float) -> None:
    found = rule(text)

    assert (found.fires(fires_at, found.condition.number), found.fires(is_quiet_at, found.condition.number)) == (
        True,
        False,
    )


@pytest.mark.parametrize(
    "text",
    [
        "psi(x) < 0.1",
        "psi(x) >= 0.2",
        "ks_pvalue(x) > 0.05",
        "mean(x) <= 5",
        "max(x) < 120",
        "min(x) > 18",
        "sd(x) >= 1",
    ],
)
def test_a_text_that_can_be_read_both_ways_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"rules\.0: .* can be read in two ways"):
        rule(text)


@pytest.mark.parametrize("comparison", ["<", "<=", ">", ">="])
def test_when_and_expect_say_which_and_are_each_other_s_opposite(comparison: str) -> None:
    text = f"psi(x) {comparison} 0.2"
    when, expect = rule(RuleSpec(when=text)), rule(RuleSpec(expect=text))

    fired = [(when.fires(value, 0.2), expect.fires(value, 0.2)) for value in (0.1, 0.2, 0.3)]

    assert {a is not b for a, b in fired} == {True}
    assert when.condition == expect.condition


def test_rules_differ_by_what_they_fire_on_and_how_often_they_look() -> None:
    text = "psi(x) > 0.2"
    specs: list[str | RuleSpec] = [text, RuleSpec(expect=text), RuleSpec(when=text, every="5000 events")]

    assert len(read_rules("rules", specs)) == 3
    with pytest.raises(ConfigurationError, match=r"rules\.3: the rule psi\(x\) > 0.2 is given twice"):
        read_rules("rules", [*specs, RuleSpec(when=text, severity=Severity.INFO)])
