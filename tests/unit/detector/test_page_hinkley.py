from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river import drift

from services.detector.banks.detections import Detections, Gate
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.structs import FloatArray
from tests.kit.streams import each_block, fired, fired_by_river, random_streams

PageHinkley: Any = drift.PageHinkley
CONSTANTS = ((50.0, 0.005, 0.9999), (8.0, 0.1, 0.99), (20.0, 0.25, 1.0))  # threshold, delta, alpha


@each_block
def test_the_river_form_equals_river(seeds: range) -> None:
    values = random_streams(seeds)
    threshold, delta, alpha = CONSTANTS[seeds.start // len(seeds) % len(CONSTANTS)]
    theirs = [PageHinkley(threshold=threshold, delta=delta, alpha=alpha) for _ in seeds]
    expected = fired_by_river(theirs, values)
    assert len(expected) > 50
    assert fired(PageHinkleyBank(np.full(len(seeds), threshold), delta, alpha).update(values)) == expected


def verdict(values: FloatArray, threshold: float = 30.0, min_events: int = 200, mean: float = 0.0) -> Detections:
    bank = PageHinkleyBank.verdict(np.array([threshold]), Gate(min_events, np.array([0.32]), np.array([mean])))
    return bank.update(values.reshape(-1, 1))


def noise(rows: int) -> FloatArray:
    return np.random.default_rng(31).normal(size=rows).clip(-3, 3)


def test_a_shift_is_reported_with_its_onset_mean_and_direction() -> None:
    values = noise(4_000)
    values[2_000:] -= 0.8
    found = verdict(values)
    assert found.row[0] - found.events[0] + 1 == pytest.approx(2_000, abs=15)
    assert found.events[0] >= 200
    since = values[found.row[0] - found.events[0] + 1 : found.row[0] + 1]
    assert found.mean[0] == pytest.approx(since.mean(), abs=1e-12)
    assert found.statistic[0] > 30
    assert set(found.direction.tolist()) == {-1}


def test_the_mean_is_measured_against_the_reference() -> None:
    values = noise(4_000) + 5.0
    assert len(verdict(values, mean=5.0)) == 0
    values[2_000:] += 0.8
    assert set(verdict(values, mean=5.0).direction.tolist()) == {1}


def test_a_reference_that_is_a_little_off_raises_nothing() -> None:
    assert len(verdict(noise(100_000) + 0.05)) == 0


def test_a_shift_under_the_effect_gate_exceeds_the_threshold_in_silence() -> None:
    values = noise(20_000) + 0.3
    ungated = PageHinkleyBank(np.array([30.0]), 0.25, 1.0, fixed_mean=np.zeros(1))
    assert len(ungated.update(values.reshape(-1, 1))) > 0
    assert len(verdict(values, min_events=1_500)) == 0


def test_a_small_shift_does_not_hide_a_larger_one_for_long() -> None:
    values = np.full(50_000, 0.3)
    values[40_000:] = 1.0
    found = verdict(values)
    assert 40_000 < found.row[0] < 40_400


def test_a_burst_shorter_than_the_gate_is_never_reported() -> None:
    values = noise(4_000)
    values[1_000:1_020] = 3.0
    values[1_020:] -= 0.2
    assert len(verdict(values)) == 0


def test_a_series_starts_again_after_its_detection() -> None:
    found = verdict(np.full(1_000, 1.0))
    assert found.row.tolist() == [199, 399, 599, 799, 999]
    assert found.events.tolist() == [200] * 5
