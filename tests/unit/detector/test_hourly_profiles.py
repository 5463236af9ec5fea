from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from services.detector.banks.hourly_counts import HourlyCountsBank
from services.detector.seasons.clock import HOURS
from services.detector.seasons.hourly_ranks import BINS, HourlyRanks, score_bins
from services.detector.seasons.learned import compared
from services.detector.seasons.mixture import mixtures
from services.detector.seasons.profile import Profile
from services.detector.seasons.sample import KEPT, WindowSample
from services.detector.state import load, save
from services.detector.statistics.window_kernel import GROUPS, POOLED_PSI, REFERENCE_N, N
from services.detector.structs import IntArray

HOUR_MS, MONDAY_MS = 3_600_000, 1_704_067_200_000
EVEN, LEANING = np.full(10, 0.1), np.array([0.19] * 5 + [0.01] * 5)


def halves() -> IntArray:
    """Return pools of the first half of the day and of the second."""
    return np.arange(HOURS) % 24 // 12


def profile(*counts: list[int]) -> Profile:
    return Profile(halves(), np.array(counts, np.int32), np.zeros((len(counts), 0), np.int32))


def clock(**rows: int) -> IntArray:
    found = np.zeros((1, HOURS), np.int64)
    for name, count in rows.items():
        found[0, int(name.removeprefix("h"))] = count
    return found


def test_a_window_is_compared_with_the_hours_that_it_saw() -> None:
    found = profile([60, 40], [100, 300])

    assert mixtures(found, clock(h3=500), slice(0, 2)).tolist() == pytest.approx(np.array([[60.0, 40.0]]))
    assert mixtures(found, clock(h13=500, h37=100), slice(0, 2)).tolist() == pytest.approx(np.array([[100.0, 300.0]]))


def test_a_mixture_is_worth_as_many_rows_as_its_error_says() -> None:
    mixed = mixtures(profile([60, 40], [100, 300]), clock(h0=750, h12=250), slice(0, 2))

    worth = 1 / (0.75**2 / 100 + 0.25**2 / 400)
    assert mixed.sum() == pytest.approx(worth)
    assert (mixed / worth).tolist() == pytest.approx(np.array([[0.75 * 0.6 + 0.25 * 0.25, 0.75 * 0.4 + 0.25 * 0.75]]))


def test_hours_in_which_a_column_had_no_value_say_nothing_of_it() -> None:
    found = profile([0, 0, 60], [3, 1, 400])

    assert mixtures(found, clock(h0=10, h12=10), slice(0, 2)).tolist() == [[3.0, 1.0]]
    assert mixtures(found, clock(h0=10), slice(0, 2)).tolist() == [[3.0, 1.0]]
    assert mixtures(profile([0], [0]), clock(h0=10), slice(0, 1)).tolist() == [[0.0]]


def test_windows_without_drift_have_the_law_of_chi_squared() -> None:
    rng, runs = np.random.default_rng(5), 4_000
    ratios = []
    for _ in range(runs // 100):
        learned = profile(rng.multinomial(20_000, EVEN).tolist(), rng.multinomial(5_000, LEANING).tolist())
        mornings = rng.integers(200, 801, 100)
        windows = np.array([rng.multinomial(m, EVEN) + rng.multinomial(1_000 - m, LEANING) for m in mornings])
        clocks = np.zeros((100, HOURS), np.int64)
        clocks[:, 0], clocks[:, 12] = mornings, 1_000 - mornings
        found = compared(windows, mixtures(learned, clocks, slice(0, 10)), ordered=True)
        assert found[:, GROUPS].tolist() == [10.0] * 100
        ratios += (found[:, POOLED_PSI] / (1 / found[:, N] + 1 / found[:, REFERENCE_N])).tolist()

    # Rows drawn hour by hour scatter a little less than rows drawn from the mixture.
    assert np.mean(ratios) == pytest.approx(9, rel=0.12)
    assert np.mean(np.array(ratios) > chi2.isf(0.01, 9)) <= 0.012


def test_ranks_by_the_hour_are_uniform_whatever_the_hour_does() -> None:
    rng = np.random.default_rng(3)
    hours = np.repeat([0, 12], 50_000).astype(np.int32)
    law = rng.normal(np.where(hours == 12, 1.0, 0.0), np.where(hours == 12, 0.6, 1.0))
    scores = np.clip(np.column_stack([law, -law]), -3, 3)
    bank = HourlyCountsBank(1, 1, np.full(2, BINS))
    bank.update(score_bins(scores), np.zeros((len(hours), 1), np.int32), hours)
    counts = np.array([bank.counts_of(0)[halves() == pool].sum(axis=0) for pool in (0, 1)])
    hourly = HourlyRanks(Profile(halves(), np.zeros((2, 0), np.int32), counts), [1])

    middle = (hours + 0.5) * HOUR_MS + MONDAY_MS
    ranks, found = hourly.of(ndtr(scores), scores, middle.astype(np.int64))

    assert ranks[:, 0].tolist() == ndtr(scores[:, 0]).tolist()
    for hour in (0, 12):
        assert found[hours == hour, 1].mean() == pytest.approx(0.0, abs=1e-6)
        assert found[hours == hour, 1].std() == pytest.approx(1.0, abs=0.02)
        assert np.quantile(ranks[hours == hour, 1], [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.03)


def test_between_the_middles_of_hours_ranks_are_interpolated() -> None:
    counts = np.zeros((2, BINS), np.int32)
    counts[0, [10, 40]], counts[1, [10, 40]] = (300, 100), (100, 300)
    hourly = HourlyRanks(Profile(halves(), counts[:, :0], counts), [0])

    hours = np.array([11.5, 11.75, 12.0, 12.5])
    ranks, scores = hourly.of(
        np.full((4, 1), 0.1), np.full((4, 1), -2.0), (hours * HOUR_MS).astype(np.int64) + MONDAY_MS
    )

    assert ranks.ravel().tolist() == pytest.approx([0.375, 0.3125, 0.25, 0.125], abs=1e-6)
    first, last = scores[0, 0], scores[3, 0]
    assert scores.ravel().tolist() == pytest.approx([first, (3 * first + last) / 4, (first + last) / 2, last])


def test_a_value_that_is_missing_has_no_rank_in_any_hour() -> None:
    assert score_bins(np.array([[np.nan, -3.0, 0.0, 3.0]])).tolist() == [[-1, 0, 30, 60]]
    counts = np.ones((1, BINS), np.int32)
    hourly = HourlyRanks(Profile(np.zeros(HOURS, np.int64), counts[:, :0], counts), [0])

    ranks, scores = hourly.of(np.array([[np.nan], [0.5]]), np.array([[np.nan], [0.0]]), np.zeros(2, np.int64))

    assert np.isnan(ranks[0, 0])
    assert np.isnan(scores[0, 0])
    assert ranks[1, 0] == pytest.approx(0.5)
    assert scores[1, 0] == pytest.approx(ndtri(0.5))


def test_hours_are_counted_in_cells_that_learn_and_come_back_from_bytes() -> None:
    bank = HourlyCountsBank(3, 2, np.array([2, 3]))
    codes = np.array([[0, 2], [1, -1], [2, 1], [0, 0]], np.int32)
    cells = np.array([[0, 1], [0, 2], [0, -1], [0, 1]], np.int32)

    bank.update(codes[:2], cells[:2], np.array([5, 5], np.int32))
    resumed = load(HourlyCountsBank, save(bank))
    for one in (bank, resumed):
        one.update(codes[2:], cells[2:], np.array([5, 167], np.int32))

    assert save(resumed) == save(bank)
    assert bank.counts_of(0)[5].tolist() == [1, 1, 0, 1, 1]  # a code beyond the column's is none of it
    assert bank.counts_of(0)[167].tolist() == [1, 0, 1, 0, 0]
    assert bank.counts_of(1)[5].tolist() == [1, 0, 0, 0, 1]
    assert (bank.rows_of(0)[[5, 167]].tolist(), bank.rows_of(1).sum()) == ([3, 1], 2)

    bank.finish(0)
    bank.update(codes, cells, np.zeros(4, np.int32))
    assert (bank.rows_of(0).sum(), bank.rows_of(1).sum()) == (0, 4)


def test_a_sample_of_windows_is_spread_evenly_and_bounded() -> None:
    sample = WindowSample(1, 1)
    for number in range(1_000):
        sample.add(0, np.array([number], np.int32), np.zeros(HOURS, np.int32))
        sample = load(WindowSample, save(sample)) if number % 97 == 0 else sample

    counts, clocks = sample.of(0)

    assert sample.windows.tolist() == [1_000]
    assert counts.ravel().tolist() == list(range(0, 1_000, 16))
    assert len(counts) == len(clocks) <= KEPT
    sample.forget(0)
    assert len(sample.of(0)[0]) == 0
