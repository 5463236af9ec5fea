from __future__ import annotations

import numpy as np
import pytest

from services.detector.statistics.distances import psi
from services.detector.statistics.power import (
    chance_over_line,
    chance_without_change,
    psi_at_level,
    psi_evident,
    psi_found,
    psi_of_shift,
    rate_found,
    shift_of_psi,
)
from services.detector.statistics.verdict import judge
from services.detector.structs import FloatArray

DECILES = np.full(10, 0.1)
BINS = np.array([10.0])
REFERENCE = np.array([50_000.0])


def unit(rows: float) -> FloatArray:
    return 1 / rows + 1 / REFERENCE


def moved(by: float) -> FloatArray:
    """Return deciles of which the first has given `by` to the last."""
    shares = DECILES.copy()
    shares[0], shares[-1] = shares[0] - by, shares[-1] + by
    return shares


def by_of_psi(sought: float, rows: float) -> float:
    """Return how much must move so that a window of `rows` has this PSI."""
    low, high = 0.0, 0.0999
    for _ in range(60):
        middle = (low + high) / 2
        found = psi(moved(middle) * rows, DECILES * REFERENCE[0])
        low, high = (middle, high) if found < sought else (low, middle)
    return low


@pytest.mark.parametrize("level", [1e-3, 1e-6, 1e-9])
def test_a_window_with_the_psi_of_a_level_has_that_p_value(level: float) -> None:
    at_level = float(psi_at_level(level, BINS, unit(1_000), REFERENCE)[0])
    window = moved(by_of_psi(at_level, 1_000)) * 1_000

    assert judge(window, DECILES * REFERENCE[0], ordered=True).p_value == pytest.approx(level, rel=1e-3)


def test_unchanged_windows_pass_a_psi_as_often_as_is_said() -> None:
    rng = np.random.default_rng(81)
    reference = rng.multinomial(50_000, DECILES, size=20_000)
    windows = rng.multinomial(500, DECILES, size=20_000)
    found = np.array([psi(window, before) for window, before in zip(windows, reference, strict=True)])

    chance = chance_without_change(np.array([0.0342]), BINS, unit(500))[0]

    assert chance == pytest.approx(0.05, abs=0.0005)
    assert np.mean(found >= 0.0342) == pytest.approx(chance, abs=0.004)


def test_half_of_the_windows_of_the_psi_that_is_found_pass_its_threshold() -> None:
    found = float(psi_found(np.array([0.12]), BINS, unit(1_000), 0.5)[0])
    rng = np.random.default_rng(82)
    shares = moved(by_of_psi(found, 1e9))
    windows = rng.multinomial(1_000, shares, size=5_000)

    passed = np.mean([psi(window, DECILES * REFERENCE[0]) >= 0.12 for window in windows])

    assert found == pytest.approx(0.1115, abs=0.0005)
    assert passed == pytest.approx(0.5, abs=0.03)


def test_a_surer_window_needs_a_larger_change() -> None:
    half, surer = (float(psi_found(np.array([0.12]), BINS, unit(1_000), chance)[0]) for chance in (0.5, 0.9))

    assert half < surer < 0.2


@pytest.mark.parametrize(("shift", "published"), [(0.1, 0.01), (0.23, 0.05), (0.32, 0.1), (0.46, 0.2), (0.73, 0.5)])
def test_the_psi_of_a_shift_over_deciles_is_the_published_one(shift: float, published: float) -> None:
    assert float(psi_of_shift(DECILES, np.array(shift))) == pytest.approx(published, rel=0.05)


def test_the_shift_of_a_psi_has_that_psi() -> None:
    shares = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    sought = np.array([0.1, 0.3])

    assert psi_of_shift(shares, shift_of_psi(shares, sought)) == pytest.approx(sought)


def test_no_shift_makes_much_of_a_column_that_hardly_varies() -> None:
    assert shift_of_psi(np.array([[0.999, 0.001]]), np.array([3.0])).tolist() == [np.inf]


@pytest.mark.parametrize(("intercept", "slope", "events"), [(2.0, 0.2, 20), (0.0, 0.3, 40), (6.0, 0.1, 10)])
def test_sums_rise_over_a_line_no_more_often_than_is_said(intercept: float, slope: float, events: int) -> None:
    sums = np.random.default_rng(83).normal(size=(20_000, 400)).cumsum(axis=1)
    over = sums >= intercept + slope * np.arange(1, 401)
    crossed = over[:, events - 1 :].any(axis=1).mean()

    chance = chance_over_line(intercept, slope, events)

    assert crossed <= chance
    assert crossed == pytest.approx(chance, rel=0.3)


@pytest.mark.parametrize(
    ("p0", "rate", "labels"), [(0.05, 0.07, 5_363), (0.05, 0.10, 977), (0.1, 0.15, 1_650), (0.2, 0.25, 2_735)]
)
def test_error_rates_are_found_within_the_published_labels(p0: float, rate: float, labels: int) -> None:
    assert rate_found(p0, 20.2, labels, (1.25, 1.6, 2.5)) == pytest.approx(rate, abs=0.003)


def test_a_rate_is_not_found_where_there_are_too_few_events() -> None:
    assert rate_found(0.1, 20.2, 5, (1.25, 1.6, 2.5)) > 1


@pytest.mark.parametrize(("psi", "events"), [(0.02, 26_000), (0.05, 3_330), (0.1, 1_220), (0.2, 479), (0.5, 188)])
def test_an_e_detector_finds_what_it_was_measured_to_find(psi: float, events: int) -> None:
    assert psi_evident(0.01, 23.4, events, (0.3, 0.9)) == pytest.approx(psi, rel=0.16)


def test_an_e_detector_never_finds_what_it_tolerates() -> None:
    assert psi_evident(0.01, 23.4, 1e12, (0.3, 0.9)) > 0.01
    assert psi_evident(0.01, 23.4, 60, (0.3, 0.9)) == np.inf
