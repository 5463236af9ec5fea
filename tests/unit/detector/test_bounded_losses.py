"""Losses from 0 to 1 where flags of errors are taken: a flag is one that is nothing between."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.performance.evidence import Hypothesis
from services.detector.performance.recovery import Recovery
from services.detector.structs import FloatArray

P0, THRESHOLD = 0.3, 12.0


def bank(threshold: float = THRESHOLD) -> BernoulliCusumBank:
    return BernoulliCusumBank.for_increase(np.array([P0]), np.array([threshold]))


def by_hand(losses: FloatArray, odds: float) -> list[float]:
    """Return S after each loss, for one alternative."""
    p1 = odds * P0 / (1 - P0 + odds * P0)
    one, zero = math.log(p1 / P0), math.log((1 - p1) / (1 - P0))
    found, s = [], 0.0
    for loss in losses.tolist():
        s = max(0.0, s + loss * one + (1 - loss) * zero)
        found.append(s)
    return found


def test_the_statistic_of_losses_is_the_one_counted_by_hand() -> None:
    losses = np.random.default_rng(1).beta(2, 3, 300)
    watched = bank(1e9)
    for row, expected in enumerate(zip(*(by_hand(losses, odds) for odds in (1.25, 1.6, 2.5)), strict=True)):
        watched.update(losses[row : row + 1, None])
        assert watched.snapshot()["statistic"] == pytest.approx(np.array([expected]), abs=1e-9)


def test_losses_of_the_null_s_mean_alarm_no_more_often_than_flags_do() -> None:
    rng = np.random.default_rng(2)
    threshold, rows = math.log(500.0), 400_000
    flags = (rng.random(rows) < P0).astype(np.float64)
    losses = rng.beta(0.9, 2.1, rows)  # mean 0.3
    alarms = {name: len(bank(threshold).update(each[:, None])) for name, each in (("f", flags), ("l", losses))}
    assert alarms["l"] <= alarms["f"] <= 3 * rows / 500.0


def test_losses_that_grew_are_found_with_their_mean() -> None:
    rng = np.random.default_rng(3)
    found = bank().update(np.concatenate([rng.beta(0.9, 2.1, 2_000), rng.beta(2.4, 1.6, 500)])[:, None])
    assert 2_000 < int(found.row[0]) < 2_250
    assert float(found.mean[0]) == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize(("loss", "instead"), [(0.8, 0.3), (0.8, 0.0), (1.0, 0.4)])
def test_a_loss_that_was_less_leaves_the_statistic_of_the_lesser_one(loss: float, instead: float) -> None:
    corrected, without = bank(1e9), bank(1e9)
    corrected.update(np.array([[0.9], [loss], [0.9]]))
    without.update(np.array([[0.9], [instead], [0.9]]))

    corrected.take_back(0, 1, 0, loss, instead)

    assert corrected.snapshot()["statistic"] == pytest.approx(without.snapshot()["statistic"])
    assert corrected.snapshot()["ones"] == pytest.approx(without.snapshot()["ones"])


def test_a_loss_adds_as_much_evidence_as_it_is_of_an_error() -> None:
    gains = Hypothesis(0, [0.2], [0.5]).gains(np.array([0.0, 0.25, 1.0, np.nan]), np.zeros(4, np.int64))
    clear, part, full, none = gains.tolist()
    assert part == pytest.approx(0.25 * full + 0.75 * clear)
    assert (full, clear, none) == (pytest.approx(math.log(2.5)), pytest.approx(math.log(0.625)), 0.0)


def test_losses_that_are_back_at_the_reference_end_a_loss() -> None:
    losses = np.random.default_rng(4).beta(0.9, 2.1, 3_000) * 0.9
    recovery = Recovery([0.6], [0.3])
    row = recovery.update(losses, np.zeros(3_000, np.int64))
    assert row is not None
    assert row >= 499
    assert Recovery([0.6], [0.3]).update(np.full(3_000, 0.55), np.zeros(3_000, np.int64)) is None


@pytest.mark.parametrize(("values", "kept"), [([1.0, 0.0, 1.0], np.int64), ([1.0, 0.25, 1.0], np.float64)])
def test_a_state_goes_on_where_it_stopped_and_is_small_where_flags_are_whole(values: list[float], kept: type) -> None:
    flags, later = np.array(values)[:, None], np.array([[0.5], [1.0]])
    one = bank(1e9)
    one.update(flags)
    fields = one.snapshot()
    again = BernoulliCusumBank.restore(fields)

    assert np.asarray(fields["ones"]).dtype == kept
    assert len(one.update(later)) == len(again.update(later)) == 0
    before, after = one.snapshot(), again.snapshot()
    assert all(np.array_equal(np.asarray(before[name]), np.asarray(after[name])) for name in before)
