from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from services.detector.banks.detections import Gate
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.budget import (
    Kind,
    adwin_delta,
    cusum_run_length,
    e_detector_chance,
    e_detector_threshold,
    likelihood_chance,
    likelihood_threshold,
    page_hinkley_chance,
    page_hinkley_threshold,
    shares,
    window_levels,
)

FIFTY_FEATURES = 50 * 7e6  # a week at 1M rows a day
CAR_LOAN_ROWS = 50_000 / 43.25  # a week of its reference


def test_the_shares_of_two_pages_a_month_are_two_times_seven_thirtieths_a_week() -> None:
    everything = shares(2.0, Kind)
    assert sum(astuple(everything)) == pytest.approx(14 / 30)
    assert everything.windows == pytest.approx(0.22 * 14 / 30)
    assert everything.data_quality == pytest.approx(0.05 * 14 / 30)


def test_an_absent_kind_gives_its_share_to_the_windows() -> None:
    present = shares(2.0, [kind for kind in Kind if kind is not Kind.DATA_QUALITY])
    assert sum(astuple(present)) == pytest.approx(14 / 30)
    assert present.windows == pytest.approx(0.27 * 14 / 30)
    assert present.page_hinkley == pytest.approx(0.15 * 14 / 30)
    assert present.data_quality == 0
    assert present.e_detector == pytest.approx(0.15 * 14 / 30)


@pytest.mark.parametrize(
    ("threshold", "slack", "published"),
    [(50.0, 0.005, 1_564), (50.0 / 0.3, 0.005 / 0.3, 236_000), (42.0, 0.25, 9.5e9), (50.0, 0.25, 5.2e11)],
)
def test_run_lengths_are_those_of_the_closed_form(threshold: float, slack: float, published: float) -> None:
    assert cusum_run_length(threshold, slack) == pytest.approx(published, rel=0.02)


def test_simulated_false_detections_are_as_rare_as_the_closed_form_says() -> None:
    values = np.random.default_rng(70).normal(size=(20_000, 50))
    bank = PageHinkleyBank.verdict(np.full(50, 9.0), Gate(0, np.zeros(50), np.zeros(50)))
    expected = values.size / cusum_run_length(9.0, 0.25)
    assert len(bank.update(values)) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("updates", [1e3, FIFTY_FEATURES, 1e12])
def test_a_threshold_is_worth_its_share(updates: float) -> None:
    share = shares(2.0).page_hinkley
    threshold = page_hinkley_threshold(share, updates, 0.25)
    assert updates / cusum_run_length(threshold, 0.25) == pytest.approx(share)


def test_page_hinkley_thresholds_of_known_models() -> None:
    share = shares(2.0).page_hinkley
    # all traffic and two segment dimensions
    assert round(page_hinkley_threshold(share, 3 * FIFTY_FEATURES, 0.25)) == 43
    # seven features, prediction and score, on all traffic, two dimensions and their cross
    assert round(page_hinkley_threshold(share, 9 * 4 * CAR_LOAN_ROWS, 0.25)) == 23


def test_adwin_deltas_of_known_models() -> None:
    share = shares(2.0).adwin
    assert adwin_delta(share, FIFTY_FEATURES) == pytest.approx(2e-9, rel=0.1)
    assert adwin_delta(share, 16 * CAR_LOAN_ROWS) == pytest.approx(4e-5, rel=0.05)
    assert adwin_delta(share, 1.0) == 0.05


def test_a_likelihood_ratio_threshold_pays_for_its_alternatives() -> None:
    assert likelihood_threshold(0.07, 0.07 * 10_000) == pytest.approx(np.log(30_000))
    assert likelihood_threshold(0.07, 0.07 * 10_000, alternatives=1) == pytest.approx(np.log(10_000))


def test_the_level_of_an_e_detector_is_the_run_length_it_grants() -> None:
    assert e_detector_threshold(0.07, 0.07 * 10_000) == pytest.approx(np.log(10_000))
    assert e_detector_threshold(0.07, 0.01) == 0.0


def test_a_detection_at_its_threshold_has_the_chance_of_its_share() -> None:
    threshold = page_hinkley_threshold(0.07, FIFTY_FEATURES, 0.25)
    assert page_hinkley_chance(threshold, FIFTY_FEATURES, 0.25) == pytest.approx(0.07)
    assert page_hinkley_chance(threshold + 10.0, FIFTY_FEATURES, 0.25) < 0.07 / 100
    assert page_hinkley_chance(1e9, FIFTY_FEATURES, 0.25) > 0
    threshold = likelihood_threshold(0.07, FIFTY_FEATURES)
    assert likelihood_chance(threshold, FIFTY_FEATURES) == pytest.approx(0.07)
    threshold = e_detector_threshold(0.07, FIFTY_FEATURES)
    assert e_detector_chance(threshold, FIFTY_FEATURES) == pytest.approx(0.07)


def test_window_levels_are_capped_where_windows_are_few() -> None:
    share = shares(2.0).windows
    many = window_levels(share, 700_000)
    assert many.single == pytest.approx(share / 1.4e6)
    assert many.running**2 == pytest.approx(share / 1.4e6)
    few = window_levels(share, 10)
    assert (few.single, few.running) == (1e-4, 0.01)
