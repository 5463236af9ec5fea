"""Timelines of rules: one window after the other in, what fires and what is quiet again out."""

from __future__ import annotations

from collections.abc import Sequence

from services.detector.rules.binding import BoundRule
from services.detector.rules.fold import CALM_WINDOWS, RuleFold, RuleState, Turn, Turned
from services.detector.structs import decode_struct, encode_struct
from shared.rules import Every, read_rules

FIRED, HOLDS, CLEARED = Turn.FIRED, Turn.HOLDS, Turn.CLEARED
ROWS = 1_000
EVERY = Every(events=ROWS)


def bound(text: str, *columns: str, segment: str = "all", every: Every = EVERY) -> BoundRule:
    (rule,) = read_rules("rules", [text])
    return BoundRule(rule, 0, segment, every, dict.fromkeys(columns or ("x",), rule.condition.number))


def turns(
    fold: RuleFold, values: Sequence[float | None], *, start: int = 0, statistic: str = "psi"
) -> list[Turn | None]:
    """Return what windows of `x` on all traffic do, one after the other."""
    found: list[Turn | None] = []
    for number, value in enumerate(values, start):
        turned = fold.take({("x", "all"): {statistic: value}}, EVERY, number * ROWS)
        found.append(turned[0].turn if turned else None)
    return found


def test_a_rule_fires_where_its_condition_is_met_and_tells_since_when() -> None:
    fold = RuleFold([bound("psi(x) > 0.2")])

    assert fold.take({("x", "all"): {"psi": 0.2}}, EVERY, 0) == []
    assert fold.take({("x", "all"): {"psi": 0.3}}, EVERY, 1_000) == [Turned(0, "x", FIRED, 0.3, since=1_000)]
    assert fold.is_firing(0)


def test_a_rule_for_three_windows_waits_for_three_in_a_row() -> None:
    fold = RuleFold([bound("psi(x) > 0.2 for 3 windows")])

    assert turns(fold, [0.3, 0.3, 0.1, 0.3, 0.3]) == [None] * 5
    assert fold.take({("x", "all"): {"psi": 0.3}}, EVERY, 5_000) == [Turned(0, "x", FIRED, 0.3, since=3_000)]


def test_a_rule_that_fired_keeps_quiet_until_it_has_been_false_for_three_windows() -> None:
    fold = RuleFold([bound("psi(x) > 0.2")])

    assert turns(fold, [0.3, 0.1, 0.1, 0.3]) == [FIRED, None, None, HOLDS]
    assert turns(fold, [0.1] * CALM_WINDOWS) == [None, None, CLEARED]
    assert not fold.is_firing(0)
    assert turns(fold, [0.1, 0.3]) == [None, FIRED]


def test_a_window_that_does_not_know_the_statistic_neither_fires_nor_clears_nor_breaks_a_run() -> None:
    fold = RuleFold([bound("psi(x) > 0.2 for 2 windows")])

    assert turns(fold, [None, 0.3, None, 0.3]) == [None, None, None, FIRED]
    assert turns(fold, [0.1, None, 0.1, None, None, 0.1]) == [None] * 5 + [CLEARED]
    assert fold.take({}, EVERY, 0) == []
    assert fold.take({("x", "all"): {}}, EVERY, 0) == []


def test_what_must_hold_fires_where_it_does_not() -> None:
    fold = RuleFold([bound("max(x) <= 120")])

    assert turns(fold, [119.0, 120.0, 121.0, 122.0], statistic="max") == [None, None, FIRED, HOLDS]


def test_every_column_has_its_own_run_and_its_own_limit() -> None:
    (rule,) = read_rules("rules", ["mean(*) > 2x reference for 2 windows"])
    fold = RuleFold([BoundRule(rule, 0, "all", EVERY, {"x": 2.0, "y": 20.0})])
    rise = {("x", "all"): {"mean": 3.0}, ("y", "all"): {"mean": 3.0}}

    fold.take(rise, EVERY, 0)

    assert fold.take(rise, EVERY, 1_000) == [Turned(0, "x", FIRED, 3.0, since=0)]
    assert fold.take({("y", "all"): {"mean": 21.0}}, EVERY, 2_000) == []
    assert fold.take({("y", "all"): {"mean": 22.0}}, EVERY, 3_000) == [Turned(0, "y", FIRED, 22.0, since=2_000)]


def test_a_rule_sees_windows_of_its_segment_and_its_kind_only() -> None:
    rules = [
        bound("psi(x) > 0.2", segment="channel=web", every=Every(events=500)),
        bound("psi(x) > 0.2", every=Every(days=1)),
    ]
    fold = RuleFold(rules)
    high = {"psi": 9.0}

    assert fold.take({("x", "all"): high}, Every(events=500), 0) == []
    assert fold.take({("x", "channel=web"): high}, EVERY, 0) == []
    assert [turned.rule for turned in fold.take({("x", "channel=web"): high}, Every(events=500), 0)] == [0]
    assert [turned.rule for turned in fold.take({("x", "all"): high}, Every(days=1), 0)] == [1]


def test_a_fold_goes_on_from_its_bytes() -> None:
    rules = [bound("psi(x) > 0.2 for 2 windows"), bound("psi(x) > 0.4")]
    values = [0.3, 0.5, 0.1, 0.5, 0.3, 0.1, 0.1, 0.1, 0.3, 0.3]
    whole, parted = RuleFold(rules), RuleFold(rules)

    for number, value in enumerate(values):
        content = encode_struct(parted.state)
        parted = RuleFold(rules)
        parted.state = decode_struct(content, RuleState)
        window = {("x", "all"): {"psi": value}}
        assert parted.take(window, EVERY, number) == whole.take(window, EVERY, number)

    assert encode_struct(parted.state) == encode_struct(whole.state)
