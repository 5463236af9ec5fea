"""Rules meet a baseline: what each one watches, and what is refused before anything runs."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from services.detector.baseline import Baseline
from services.detector.baseline_build import build_baseline
from services.detector.rules.binding import BoundRule, bind, bound_rule
from shared.errors import ConfigurationError
from shared.monitors import AlertsSpec, FeatureSpec, ModelSpec
from shared.rules import Every, RuleSpec, read_rules
from tests.kit.references import loans, spec

MODEL = "loans"
PATH = "models.loans.alerts.rules"


def with_rules(*rules: str | RuleSpec) -> ModelSpec:
    return spec(
        segments=["channel", ["channel", "region"]],
        features={"term": FeatureSpec(min=0, max=40)},
        alerts=AlertsSpec(rules=list(rules)),
    )


@cache
def baseline() -> Baseline:
    table = loans(2_000)
    debt = table["amount"].to_numpy() * -1.0
    note = [None if row % 4 == 0 else "seen" for row in range(2_000)]
    return build_baseline(MODEL, with_rules(), table.append_column("debt", [debt]).append_column("note", [note]))


def bound(*rules: str | RuleSpec) -> list[BoundRule]:
    return [bound_rule(rule, baseline()) for rule in read_rules(PATH, rules)]


def test_a_rule_watches_detection_s_windows_unless_it_says_others() -> None:
    rules: list[str | RuleSpec] = [
        "psi(amount) > 0.2",
        "psi(amount, channel=web) > 0.2",
        RuleSpec(when="psi(amount) > 0.2", every="5000 events"),
        RuleSpec(when="psi(amount) > 0.2", every="7d"),
    ]

    assert [(found.segment, found.every) for found in bound(*rules)] == [
        ("all", Every(events=1_000)),
        ("channel=web", Every(events=500)),
        ("all", Every(events=5_000)),
        ("all", Every(days=7)),
    ]
    assert [found.segment for found in bound(*rules)] == ["all", "channel=web", "all", "all"]


def test_the_dimensions_of_a_cross_are_given_in_any_order() -> None:
    (found,) = bound("psi(amount, region=north, channel=web) > 0.2")

    assert found.segment == "channel=web,region=north"


def test_a_star_is_every_feature_that_has_the_statistic() -> None:
    rules = bound("psi(*) > 1", "ks_stat(*) > 1", "new_category_rate(*) > 0", "out_of_range_rate(*) > 0")

    assert [set(found.limits) for found in rules] == [
        {"amount", "term", "region", "repaid_before", "debt", "note"},
        {"amount", "term", "debt"},
        {"region", "repaid_before", "note"},
        {"term"},
    ]


def test_answers_of_the_model_are_watched_by_name() -> None:
    assert [set(found.limits) for found in bound("psi(prediction) > 0.2", "ks_stat(score) > 0.2")] == [
        {"prediction"},
        {"score"},
    ]


def test_a_multiple_is_one_of_the_reference_s_own() -> None:
    amount, term = (loans(2_000)[name].to_numpy() for name in ("amount", "term"))
    rules = bound(
        "mean(amount) > 1.2x reference",
        "sd(amount) > 2x reference",
        "median(amount) < 0.5x reference",
        "max(amount) > 3x reference",
        "min(amount) < 0.5x reference",
        "missing_rate(note) > 2x reference",
        "missing_rate(note, channel=web) > 2x reference",
        "out_of_range_rate(term) > 2x reference",
    )

    limits = [next(iter(found.limits.values())) for found in rules]
    assert limits[:5] == pytest.approx(
        [1.2 * amount.mean(), 2 * amount.std(), 0.5 * np.median(amount), 3 * amount.max(), 0.5 * amount.min()]
    )
    web = np.array(loans(2_000)["seg_channel"].to_pylist()) == "web"
    assert limits[5:] == pytest.approx([0.5, 2 * np.mean(np.arange(2_000)[web] % 4 == 0), 2 * np.mean(term > 40)])


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "psi(amont) > 0.2",
            "there is no column 'amont', only amount, term, region, repaid_before, debt, note, prediction, score",
        ),
        ("mean(region) > 2", "region holds categories, which have no mean"),
        ("new_category_rate(term) > 0", "term holds numbers, which have no"),
        (
            "out_of_range_rate(debt) > 0",
            "debt has no range; give",
        ),
        ("out_of_range_rate(term, channel=web) > 0", "it is counted on all traffic only"),
        ("psi(term, country=se) > 1", "nothing is segmented by country; segments are channel, channel,region"),
        ("psi(term, channel=fax) > 1", "the reference has no segment channel=fax, only channel=branch, channel=web"),
        ("mean(debt) > 2x reference", "give a number, for a multiple of that says nothing"),
        ("mean(term, channel=web) > 2x reference", "the reference's mean is known on all traffic only; give a number"),
    ],
)
def test_what_the_baseline_does_not_have_is_refused(rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        bound(rule)


def test_a_rule_is_refused_with_its_path_and_its_words() -> None:
    with pytest.raises(ConfigurationError, match=r"^models\.loans\.alerts\.rules\.1: psi\(nothing\) > 1: there is no"):
        bind(MODEL, with_rules("psi(amount) > 1", "psi(nothing) > 1"), baseline())


def test_categories_beyond_those_that_are_kept_cannot_be_told_to_be_new() -> None:
    table = pa.table({"town": [f"t{row % 1_200}" for row in range(2_400)], "prediction": [1.0, 2.0] * 1_200})
    chosen = ModelSpec(task="regression", reference="r.csv", alerts=AlertsSpec(rules=["new_category_rate(town) > 0"]))

    with pytest.raises(ConfigurationError, match="more categories of town than are kept"):
        bind("m", chosen, build_baseline("m", chosen, table))


def of_new(rule: str | RuleSpec) -> BoundRule:
    """Return a rule bound where the log may bring its segment."""
    return bound_rule(read_rules(PATH, [rule])[0], baseline(), may_be_new=True)


def test_a_segment_that_the_reference_does_not_hold_may_be_watched_once_it_comes() -> None:
    found = of_new("mean(term, channel=fax) > 30")

    assert (found.segment, found.cell, found.every) == ("channel=fax", None, Every(events=500))
    assert dict(found.limits) == {"term": 30}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("missing_rate(term, channel=fax) > 2x reference", "the reference does not hold the segment; give a number"),
        (RuleSpec(when="mean(term, channel=fax) > 1", every="1d"), "leave out every, for 500 events"),
        (
            "mean(term, channel=__other__, region=north) > 1",
            "the reference has no segment channel=__other__,region=north",
        ),
    ],
)
def test_of_a_segment_that_the_reference_does_not_hold_not_all_can_be_watched(
    rule: str | RuleSpec, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        of_new(rule)
