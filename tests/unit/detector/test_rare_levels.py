from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from services.detector.banks.levels import Rates, rare_levels, reference_rates, watched_levels
from services.detector.banks.rare_levels import ODDS, RareLevelBank
from services.detector.budget import likelihood_threshold
from services.detector.structs import FloatArray

Codes = NDArray[np.int32]
FLAG = np.array([-1, 0])  # of the codes 0 and 1, the second is watched
BUDGETED = likelihood_threshold(0.047, 50 * 7e6, len(ODDS))


def exact(*rates: float) -> Rates:
    """Return rates that the reference knows without error."""
    known = np.array(rates)
    return Rates(known, known, known)


def flag_bank(rate: float, threshold: float = BUDGETED) -> RareLevelBank:
    return RareLevelBank([FLAG], exact(rate), np.array([threshold]))


def flags(*parts: tuple[int, float], series: int = 1, seed: int = 90) -> Codes:
    """Return codes [rows, series] of flags: each part is rows and a rate."""
    source = np.random.default_rng(seed)
    return np.concatenate([source.random((rows, series)) < rate for rows, rate in parts]).astype(np.int32)


Reports = list[tuple[int, int, float, float, int]]


def reports(bank: RareLevelBank, codes: Codes, series: int = 0) -> Reports:
    """Return row, events, mean, statistic and direction of a series' detections."""
    found = bank.update(codes)
    columns = (found.row, found.events, found.mean, found.statistic, found.direction)
    return list(zip(*(column[found.series == series].tolist() for column in columns), strict=True))


def naive(values: list[bool], rates: Rates, threshold: float) -> Reports:
    """Return the same of the definition, one flag after the other."""
    observed, low, high = float(rates.observed[0]), float(rates.low[0]), float(rates.high[0])
    sums, events, ones = ([0.0] * 5, [0] * 5, [0] * 5)
    found: Reports = []
    for row, value in enumerate(values):
        firing = []
        for k, odds in enumerate(ODDS):
            null = high if odds > 1 else low
            rate = odds * null / (1 - null + odds * null)
            sums[k] += math.log(rate / null) if value else math.log((1 - rate) / (1 - null))
            events[k] += 1
            ones[k] += value
            expected = observed * events[k]
            levels, off = (ones[k], ones[k] >= 1.5 * expected) if odds > 1 else (expected, 1.5 * ones[k] <= expected)
            if sums[k] >= threshold and off and levels >= 30:
                firing.append(k)
            if sums[k] <= 0 or (sums[k] >= threshold and value and not off and levels >= 300):
                sums[k], events[k], ones[k] = 0.0, 0, 0
        if firing:
            k = max(firing, key=lambda k: sums[k])
            found.append((row, events[k], ones[k] / events[k], sums[k], 1 if ODDS[k] > 1 else -1))
            sums, events, ones = ([0.0] * 5, [0] * 5, [0] * 5)
    return found


@pytest.mark.parametrize("rate", [0.01, 0.03, 0.3])
def test_detections_are_those_of_the_definition(rate: float) -> None:
    source = np.random.default_rng(91)
    factors = source.choice([0.2, 0.5, 0.72, 1.0, 1.35, 2.0, 3.0], 40)
    codes = flags(*[(2_000, rate * factor) for factor in factors.tolist()])
    rates = Rates(np.array([rate]), np.array([0.97 * rate]), np.array([1.04 * rate]))
    expected = naive([code == 1 for code in codes[:, 0]], rates, 5.0)
    assert {direction for *_, direction in expected} == {-1, 1}
    found = reports(RareLevelBank([FLAG], rates, np.array([5.0])), codes)
    assert [entry[:2] for entry in found] == [entry[:2] for entry in expected]
    assert np.array(found) == pytest.approx(np.array(expected), rel=1e-9)


def test_a_fraud_rate_that_grew_tenfold_is_found() -> None:
    codes = flags((20_000, 0.002), (4_000, 0.02), series=20)
    found = RareLevelBank([FLAG] * 20, exact(*[0.002] * 20), np.full(20, BUDGETED)).update(codes)
    first = [found.row[found.series == s].min() for s in range(20)]
    assert 1_000 < np.median(first) - 20_000 < 2_500
    assert min(first) >= 20_000
    assert set(found.direction.tolist()) == {1}


def test_a_positive_rate_that_doubled_is_found_with_its_onset_and_rate() -> None:
    (row, events, mean, statistic, direction), *_ = reports(flag_bank(0.05), flags((20_000, 0.05), (4_000, 0.1)))
    assert 20_500 < row < 22_500
    assert row - events + 1 == pytest.approx(20_000, abs=300)
    assert mean == pytest.approx(0.1, abs=0.02)
    assert statistic >= BUDGETED
    assert direction == 1


def test_a_level_that_vanished_is_found_when_enough_of_it_was_expected() -> None:
    found = reports(flag_bank(0.02, threshold=12.0), np.zeros((2_000, 1), np.int32))
    assert found[0][:3] == (1_499, 1_500, 0.0)
    assert found[0][4] == -1


def test_a_level_that_halved_is_found() -> None:
    (row, *_, direction), *_ = reports(flag_bank(0.05), flags((20_000, 0.05), (8_000, 0.025)))
    assert 21_000 < row < 26_000
    assert direction == -1


def test_nothing_is_found_where_nothing_changed() -> None:
    rates = [0.001, 0.005, 0.02, 0.045]
    codes = np.concatenate([flags((100_000, rate), seed=seed) for seed, rate in enumerate(rates)], axis=1)
    subject = RareLevelBank([FLAG] * 4, exact(*rates), np.full(4, likelihood_threshold(1.0, 1e6, len(ODDS))))
    assert len(subject.update(codes)) == 0


def test_false_alarms_stay_within_the_bound_of_the_likelihood_ratio() -> None:
    subject = RareLevelBank([FLAG] * 20, exact(*[0.1] * 20), np.full(20, likelihood_threshold(1.0, 5_000, len(ODDS))))
    assert len(subject.update(flags((20_000, 0.1), series=20))) <= 400_000 / 5_000


def test_the_reference_may_be_wrong_about_a_rare_rate() -> None:
    source = np.random.default_rng(92)
    references = [np.array([5_000 - ones, ones]) for ones in source.binomial(5_000, 0.004, 20).tolist()]
    subject = RareLevelBank.of_references([FLAG] * 20, references, np.full(20, BUDGETED))
    assert len(subject.update(flags((50_000, 0.004), series=20))) == 0


def test_a_change_smaller_than_the_gate_is_no_detection_and_hides_no_larger_one() -> None:
    codes = np.zeros((130_000, 1), np.int32)
    codes[:100_000:14] = 1  # 1.4 times as often as one in twenty
    codes[100_000::5] = 1
    found = reports(flag_bank(0.051), codes)
    assert 100_000 < found[0][0] < 101_000
    assert {direction for *_, direction in found} == {1}


def test_few_events_of_the_level_are_no_detection() -> None:
    codes = np.zeros((10_000, 1), np.int32)
    codes[5_000:5_029] = 1
    assert reports(flag_bank(0.001), codes) == []
    codes[5_029] = 1
    assert [row for row, *_ in reports(flag_bank(0.001), codes)] == [5_029]


def test_each_level_of_a_column_is_watched_on_its_own() -> None:
    reference = np.array([90_000, 4_000, 3_000, 2_000, 1_000])
    levels = watched_levels(reference)
    source = np.random.default_rng(93)
    before = source.choice(5, 10_000, p=reference / 100_000)
    after = source.choice(5, 3_000, p=[0.9, 0.04, 0.0, 0.05, 0.01])
    codes = np.concatenate([before, after]).astype(np.int32).reshape(-1, 1)
    subject = RareLevelBank.of_references([levels], [reference], np.array([20.0] * 4))
    found = subject.update(codes)
    assert sorted(set(zip(found.series.tolist(), found.direction.tolist(), strict=True))) == [(1, -1), (2, 1)]
    assert found.row.min() > 10_000


def test_levels_of_several_columns_are_numbered_column_by_column() -> None:
    levels = [np.array([-1, 0, 1, 1]), np.array([-1, -1]), FLAG]
    subject = RareLevelBank(levels, exact(0.05, 0.1, 0.02), np.full(3, 5.0))
    codes = np.zeros((100, 3), np.int32)
    codes[:, 0] = [2, 3] * 50
    codes[:, 2] = 1
    assert (subject.columns, subject.series) == (3, 3)
    assert sorted(set(subject.update(codes).series.tolist())) == [1, 2]


def test_missing_is_no_event_and_an_unseen_level_is_none_of_the_levels() -> None:
    codes = flags((3_000, 0.05), (3_000, 0.2))
    gapped = np.full((12_000, 1), -1, np.int32)
    gapped[1::2] = codes
    expected = reports(flag_bank(0.05), codes)
    assert [(row // 2, *rest) for row, *rest in reports(flag_bank(0.05), gapped)] == expected
    unseen = np.where(codes == 0, 2, codes).astype(np.int32)
    assert reports(flag_bank(0.05), unseen) == expected


def test_a_level_that_never_varies_is_found_again_and_again() -> None:
    found = reports(flag_bank(0.5, threshold=5.0), np.ones((180, 1), np.int32))
    assert [row for row, *_ in found] == [29, 59, 89, 119, 149, 179]


def test_rare_levels_are_the_largest_of_those_under_a_twentieth_as_far_as_the_rows_can_tell() -> None:
    assert rare_levels(np.array([890, 10, 50, 0, 40, 10])) == [2, 4, 1, 5]
    assert rare_levels(np.array([870, 10, 70, 0, 40, 10])) == [4, 1, 5]
    counts = np.array([10_000, *range(1, 13)])
    assert rare_levels(counts) == [12, 11, 10, 9, 8, 7, 6, 5]
    assert rare_levels(np.zeros(3)) == []


def test_the_other_rare_levels_are_watched_together() -> None:
    counts = np.array([10_000, *range(1, 13), 0])
    assert watched_levels(counts).tolist() == [-1, 8, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1, 0, -1]
    assert watched_levels(np.array([95, 3, 0, 2])).tolist() == [-1, 0, -1, 1]


def test_a_reference_knows_a_rate_within_two_standard_errors() -> None:
    rates = reference_rates(np.array([0, 200]), np.array([5_000, 10_000]))
    assert rates.observed.tolist() == pytest.approx([0.0001, 0.02005], rel=1e-3)
    assert 0.0 < rates.low[0] < rates.observed[0] < rates.high[0] < 0.0012
    assert rates.low[1] == pytest.approx(0.0174, abs=2e-4)
    assert rates.high[1] == pytest.approx(0.0230, abs=2e-4)


@pytest.mark.parametrize("rate", [0.0, 1.0, math.nan])
def test_a_rate_without_a_likelihood_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="strictly between"):
        flag_bank(rate)


def test_constants_of_different_series_are_refused() -> None:
    with pytest.raises(ValueError, match="different series"):
        RareLevelBank([FLAG], exact(0.1, 0.2), np.ones(1))


def rates_of(bank: RareLevelBank) -> FloatArray:
    observed = bank.snapshot()["observed"]
    assert isinstance(observed, np.ndarray)
    return observed


def test_levels_that_are_watched_together_have_the_sum_of_their_rates() -> None:
    counts = np.array([10_000, *[10] * 10])
    subject = RareLevelBank.of_references([watched_levels(counts)], [counts], np.full(9, 5.0))
    assert rates_of(subject).tolist() == pytest.approx([10.5 / 10_101] * 8 + [20.5 / 10_101])
