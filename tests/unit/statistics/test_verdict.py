from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, ncx2

from services.detector.statistics.distances import psi
from services.detector.statistics.verdict import judge, pool, tolerant_p
from services.detector.structs import FloatArray

DECILES = np.full(10, 5_000)


def zipf(levels: int, exponent: float) -> FloatArray:
    weights = np.arange(1, levels + 1) ** -exponent
    shares: FloatArray = weights / weights.sum()
    return shares


def test_bins_join_neighbours_until_a_group_is_expected_to_hold_ten() -> None:
    reference = np.array([40, 60, 100, 700, 50, 30, 20])

    assert pool(reference, 100, ordered=True).tolist() == [0, 0, 1, 2, 3, 3, 3]


def test_a_remainder_joins_the_last_group() -> None:
    assert pool(np.array([500, 400, 60, 40]), 100, ordered=True).tolist() == [0, 1, 2, 2]
    assert pool(np.array([500, 440, 60]), 100, ordered=True).tolist() == [0, 1, 1]


def test_levels_join_by_falling_count_wherever_they_stand() -> None:
    reference = np.array([6, 500, 5, 480, 9])

    assert pool(reference, 1_000, ordered=False).tolist() == [2, 0, 2, 1, 2]


def test_empty_bins_at_the_end_join_the_last_group() -> None:
    assert pool(np.array([50, 50, 0]), 1_000, ordered=True).tolist() == [0, 1, 1]


def test_a_verdict_is_the_pooled_psi_against_the_tolerant_law() -> None:
    window = np.array([150, 90, 110, 100, 95, 105, 80, 90, 90, 90])
    unit = 1 / 1_000 + 1 / 50_000

    verdict = judge(window, DECILES, ordered=True)

    assert verdict.df == 9
    assert verdict.psi == pytest.approx(psi(window, DECILES), rel=1e-12)
    assert verdict.noise_floor == pytest.approx(9 * unit)
    assert verdict.psi_debiased == pytest.approx(verdict.psi - 9 * unit)
    assert verdict.p_value == float(f"{ncx2.sf(verdict.psi / unit, 9, 0.01 / unit):.6g}")


def test_overdispersion_scales_the_noise_and_the_statistic() -> None:
    window = np.array([200, 50, 110, 100, 95, 105, 80, 80, 90, 90])

    plain, wide = judge(window, DECILES, ordered=True), judge(window, DECILES, ordered=True, phi=4.0)

    assert wide.noise_floor == pytest.approx(4 * plain.noise_floor)
    assert wide.p_value > plain.p_value


def test_a_thin_reference_widens_the_tolerance_by_its_own_sampling_error() -> None:
    bins, unit, references = np.full(2, 10.0), np.full(2, 0.001), np.array([500.0, 50_000.0])

    chances = tolerant_p(np.full(2, 0.05), bins, unit, references)

    assert chances == pytest.approx([ncx2.sf(50, 9, 36), ncx2.sf(50, 9, 10)], rel=1e-12)


@pytest.mark.parametrize(
    ("window", "reference"),
    [
        (np.array([7, 0]), np.array([500, 0])),
        (np.array([1]), np.array([1_000])),
        (np.zeros(3), np.array([1_000, 1_000, 1_000])),
        (np.array([10, 10]), np.zeros(2)),
    ],
    ids=["constant column", "one level", "all missing", "no reference"],
)
def test_where_one_group_is_left_there_is_no_test(window: FloatArray, reference: FloatArray) -> None:
    verdict = judge(window, reference, ordered=True)

    assert (verdict.psi, verdict.df, verdict.p_value) == (0.0, 0, 1.0)


def test_a_window_of_one_event_pools_to_no_test() -> None:
    assert judge(np.eye(10, dtype=np.int64)[3], DECILES, ordered=True).p_value == 1.0


@pytest.mark.parametrize(
    ("shares", "size"),
    [(np.full(50, 0.02), 1_000), (zipf(50, 1.0), 500), (zipf(50, 1.5), 500), (zipf(50, 1.5), 1_000)],
    ids=["even, 1000", "zipf 1, 500", "zipf 1.5, 500", "zipf 1.5, 1000"],
)
def test_the_debiased_psi_of_fifty_levels_is_zero_on_average_without_drift(shares: FloatArray, size: int) -> None:
    rng = np.random.default_rng(41)
    pairs = [(rng.multinomial(size, shares), rng.multinomial(50_000, shares)) for _ in range(1_500)]

    mean = np.mean([judge(w, r, ordered=False).psi_debiased for w, r in pairs])

    assert mean == pytest.approx(0.0, abs=0.002)


def test_the_chi_squared_law_holds_for_ten_bins_of_five_hundred_events() -> None:
    rng = np.random.default_rng(43)
    windows = rng.multinomial(500, np.full(10, 0.1), size=10_000)
    unit = 1 / 500 + 1 / 50_000

    values = np.array([judge(w, DECILES, ordered=True).psi for w in windows]) / unit

    assert np.mean(values) == pytest.approx(9.0, rel=0.03)
    assert np.mean(values > chi2.isf(0.05, 9)) == pytest.approx(0.045, abs=0.01)


def test_critical_values_of_psi_are_those_of_the_table() -> None:
    for size, at_one_in_a_thousand in ((200, 0.140), (500, 0.056), (1_000, 0.028), (5_000, 0.0061)):
        unit = 1 / size + 1 / 50_000

        assert chi2.isf(1e-3, 9) * unit == pytest.approx(at_one_in_a_thousand, rel=0.02)
