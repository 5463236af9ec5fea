"""Bets on paired differences: what they win against the truth, what they lose without one, what the counts tell."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.detector.challengers.betting import (
    SIZES,
    STEPS,
    interval,
    labels_needed,
    log_evidence,
    mean,
    needed,
)
from services.detector.structs import IntArray

LIMIT = math.log(needed(0.05, 1))


def pairs(won: int, lost: int, tied: int, size: int = STEPS) -> IntArray:
    """Return counts of pairs that the challenger won or lost by so many hundredths."""
    counts = np.zeros(SIZES, np.int64)
    counts[STEPS + size], counts[STEPS - size], counts[STEPS] = won, lost, tied
    return counts


def test_two_sides_of_each_challenger_share_the_chance() -> None:
    assert (needed(0.05, 1), needed(0.05, 3)) == pytest.approx((40.0, 120.0))


def test_without_a_pair_nothing_is_known() -> None:
    nothing = pairs(0, 0, 0)

    assert log_evidence(nothing, 0.0) == pytest.approx(0.0, abs=1e-12)
    assert interval(nothing, LIMIT) == (-1.0, 1.0)
    assert labels_needed(nothing, 0.0, LIMIT) is None


def test_pairs_that_agree_say_nothing_where_there_is_no_margin() -> None:
    assert log_evidence(pairs(30, 10, 0), 0.0) == log_evidence(pairs(30, 10, 5_000), 0.0)
    assert log_evidence(pairs(30, 10, 5_000), 0.01) < log_evidence(pairs(30, 10, 0), 0.01)


def test_the_capital_is_the_mixture_of_constant_bets() -> None:
    stakes = [2.0 ** -(0.5 + place / 2) for place in range(18)]
    weights = [1 / (4 + place) for place in range(18)]
    capitals = [(1 + s) ** 30 * (1 - s) ** 12 for s in stakes]
    mixed = math.fsum(w * c for w, c in zip(weights, capitals, strict=True)) / math.fsum(weights)

    assert log_evidence(pairs(30, 12, 400), 0.0) == pytest.approx(math.log(mixed), rel=1e-12)


def test_no_law_with_a_mean_at_the_margin_lets_the_capital_grow() -> None:
    margin, shares = 0.1, {100: 0.2, 30: 0.1, 0: 0.5, -65: 0.2}
    assert sum(size * share for size, share in shares.items()) == pytest.approx(100 * margin)

    expected = 0.0
    for first, one in shares.items():
        for second, other in shares.items():
            counts = np.zeros(SIZES, np.int64)
            np.add.at(counts, [first + STEPS, second + STEPS], 1)
            expected += one * other * math.exp(log_evidence(counts, margin))

    assert expected == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("counts", [pairs(60, 30, 910), pairs(5, 90, 20), pairs(9, 0, 0), pairs(400, 380, 90, size=7)])
def test_the_interval_ends_where_the_evidence_reaches_its_limit(counts: IntArray) -> None:
    low, high = interval(counts, LIMIT)

    assert low < mean(counts) < high or (mean(counts), high) == (1.0, 1.0)
    if low >= 0:
        assert log_evidence(counts, low) == pytest.approx(LIMIT, abs=1e-6)
        assert log_evidence(counts, low + 1e-4) < LIMIT
    assert interval(counts[::-1], LIMIT) == (-high, -low)


def test_the_interval_leaves_no_margin_out_that_the_evidence_refutes() -> None:
    for won in range(0, 120, 7):
        counts = pairs(won, 40, 500)
        assert (interval(counts, LIMIT)[0] > 0) == (log_evidence(counts, 0.0) >= LIMIT)


def test_a_challenger_that_always_loses_is_known_for_that() -> None:
    low, high = interval(pairs(0, 50, 0), LIMIT)

    assert (low, mean(pairs(0, 50, 0))) == (-1.0, -1.0)
    assert -1.0 < high < -0.7


def test_the_labels_needed_bring_the_evidence_to_its_limit_at_the_same_gap() -> None:
    counts = pairs(12, 8, 180)
    further = labels_needed(counts, 0.0, LIMIT)

    assert further == 2_519
    scale = (200 + further) / 200
    grown = pairs(round(12 * scale), round(8 * scale), round(180 * scale))
    assert log_evidence(grown, 0.0) == pytest.approx(LIMIT, abs=0.1)


def test_no_labels_are_enough_for_a_gap_within_the_margin() -> None:
    assert labels_needed(pairs(12, 8, 180), 0.05, LIMIT) is None
    assert labels_needed(pairs(8, 12, 180), 0.0, LIMIT) is None
    assert labels_needed(pairs(1_000_001, 1_000_000, 0), 0.0, LIMIT) is None


def test_looking_after_every_pair_promotes_an_equal_challenger_no_more_often_than_allowed() -> None:
    rng = np.random.default_rng(5)
    promoted = 0
    for _ in range(200):
        steps = rng.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=2_000)
        counts, seen = pairs(0, 0, 0), False
        for start in range(0, 2_000, 50):
            counts = counts + np.bincount(steps[start : start + 50] * STEPS + STEPS, minlength=SIZES)
            seen |= log_evidence(counts, 0.0) >= LIMIT
        promoted += seen

    assert promoted <= 10  # the 99 % quantile of 200 at 2.5 %
