"""Fairness metrics against Fairlearn's numbers and scikit-learn's rates, their intervals, and where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, recall_score

from services.detector.fairness.metrics import Counts, fairness
from shared.fairness import METRICS

TWO = {"a": Counts(60, 10, 12, 38), "b": Counts(55, 25, 8, 32)}
THREE = {"a": Counts(400, 60, 70, 130), "b": Counts(120, 45, 30, 90), "c": Counts(33, 31, 30, 36)}
NONE_SELECTED = {"a": Counts(50, 0, 40, 0), "b": Counts(45, 0, 50, 0)}
PERFECT = {"a": Counts(40, 0, 0, 60), "b": Counts(70, 0, 0, 30)}

# What Fairlearn 0.15.0 with scikit-learn 1.9.1 gives for the same rows, in the order of METRICS; None for its NaN.
FAIRLEARN = {
    "two groups": (
        TWO,
        (
            *(0.07499999999999996, 0.8421052631578948),
            *(0.040000000000000036, 0.95),
            *(0.16964285714285715, 0.45714285714285713),
        ),
    ),
    "three groups": (
        THREE,
        (
            *(0.22750582750582743, 0.5585707824513796),
            *(0.20454545454545459, 0.7272727272727272),
            *(0.3539402173913043, 0.26928471248246844),
        ),
    ),
    "nobody selected": (NONE_SELECTED, (0.0, None, 0.0, None, 0.0, None)),
    "no mistakes": (PERFECT, (0.3, 0.5, 0.0, 1.0, 0.0, 1.0)),
}


@pytest.mark.parametrize("name", FAIRLEARN)
def test_the_numbers_are_those_of_fairlearn(name: str) -> None:
    groups, expected = FAIRLEARN[name]

    found = fairness(groups, 1)

    assert list(found) == list(METRICS)
    for metric, value in zip(METRICS, expected, strict=True):
        if value is None:
            assert found[metric].value is None
        else:
            assert found[metric].value == pytest.approx(value, abs=1e-9)


def test_the_rates_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    group, label = rng.integers(0, 3, 900), rng.integers(0, 2, 900)
    prediction = np.where(rng.random(900) < 0.15 + 0.1 * group, 1 - label, label)
    parts = {str(g): (label[group == g], prediction[group == g]) for g in range(3)}
    tpr = [recall_score(y, p) for y, p in parts.values()]
    fpr = [1 - recall_score(y, p, pos_label=0) for y, p in parts.values()]
    selected = [p.mean() for _, p in parts.values()]

    found = fairness({g: Counts(*map(int, confusion_matrix(y, p).ravel())) for g, (y, p) in parts.items()}, 30)

    assert found["demographic_parity_difference"].value == pytest.approx(max(selected) - min(selected), abs=1e-9)
    assert found["demographic_parity_ratio"].value == pytest.approx(min(selected) / max(selected), abs=1e-9)
    assert found["equal_opportunity_difference"].value == pytest.approx(max(tpr) - min(tpr), abs=1e-9)
    odds = max(max(tpr) - min(tpr), max(fpr) - min(fpr))
    assert found["equalized_odds_difference"].value == pytest.approx(odds, abs=1e-9)
    ratio = min(min(tpr) / max(tpr), min(fpr) / max(fpr))
    assert found["equalized_odds_ratio"].value == pytest.approx(ratio, abs=1e-9)


def test_what_is_not_defined_says_why() -> None:
    found = fairness(NONE_SELECTED, 30)
    alone = fairness({"a": Counts(50, 9, 9, 40), "b": Counts(20, 3, 3, 2)}, 28)

    assert found["demographic_parity_ratio"].note == "no group has a selection_rate above 0"
    assert found["equalized_odds_ratio"].note == "no group has a tpr above 0; no group has a fpr above 0"
    assert alone["demographic_parity_difference"].value is not None
    assert alone["equal_opportunity_difference"].value is None
    assert alone["equal_opportunity_difference"].note == "fewer than two groups have 28 labels of the positive class"


def test_a_group_with_too_few_events_is_left_out_and_named() -> None:
    found = fairness(TWO | {"c": Counts(1, 9, 9, 1)}, 30)

    assert found["demographic_parity_difference"].value == fairness(TWO, 30)["demographic_parity_difference"].value
    assert found["equalized_odds_difference"].note == (
        "without c: fewer than 30 labels of the positive class; without c: fewer than 30 labels of the negative class"
    )


def test_of_two_groups_the_interval_is_newcombes() -> None:
    value = fairness({"a": Counts(14, 56, 0, 0), "b": Counts(32, 48, 0, 0)}, 30)["demographic_parity_difference"]

    assert value.value == pytest.approx(0.2)
    assert value.low == pytest.approx(0.0524, abs=1e-4)
    assert value.high == pytest.approx(0.3339, abs=1e-4)


@pytest.mark.parametrize("shares", [(0.3, 0.2), (0.5, 0.5, 0.4, 0.3), (0.05, 0.05)], ids=str)
def test_intervals_hold_the_truth_as_often_as_they_say(shares: tuple[float, ...]) -> None:
    rng = np.random.default_rng(8)
    difference, ratio = max(shares) - min(shares), min(shares) / max(shares)
    missed, runs = [0, 0], 400
    for _ in range(runs):
        drawn = [int(rng.binomial(400, share)) for share in shares]
        groups = {str(at): Counts(400 - count, count, 0, 0) for at, count in enumerate(drawn)}
        found = fairness(groups, 30)
        for at, (name, truth) in enumerate(
            (("demographic_parity_difference", difference), ("demographic_parity_ratio", ratio))
        ):
            value = found[name]
            low, middle, high = (math.nan if end is None else end for end in (value.low, value.value, value.high))
            assert low <= middle <= high
            missed[at] += not low - 1e-12 <= truth <= high + 1e-12

    assert max(missed) <= runs * 0.05 + 2.33 * math.sqrt(runs * 0.05 * 0.95)
