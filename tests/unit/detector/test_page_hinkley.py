from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river import drift

from services.detector.banks.detections import Detections, Gate
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.structs import FloatArray

PageHinkley: Any = drift.PageHinkley


def streams(count: int, rows: int = 3_000) -> FloatArray:
    """Return [rows, count]: normal, Bernoulli, steps up and down, seeded."""
    source = np.random.default_rng(30)
    columns = []
    for kind in range(count):
        column = source.normal(size=rows)
        if kind % 4 == 1:
            column = (source.random(rows) < source.random() / 2).astype(np.float64)
        elif kind % 4 > 1:
            column[source.integers(rows) :] += (kind % 4 * 2 - 5) * source.uniform(0.1, 2.0)
        columns.append(column)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize(("threshold", "delta", "alpha"), [(50.0, 0.005, 0.9999), (8.0, 0.1, 0.99), (20.0, 0.25, 1.0)])
def test_the_river_form_equals_river(threshold: float, delta: float, alpha: float) -> None:
    values = streams(200)
    found = PageHinkleyBank(np.full(200, threshold), delta, alpha).update(values)
    theirs = set()
    for series in range(200):
        test = PageHinkley(threshold=threshold, delta=delta, alpha=alpha)
        for row, value in enumerate(values[:, series].tolist()):
            test.update(value)
            if test.drift_detected:
                theirs.add((row, series))
    assert len(theirs) > 50
    assert set(zip(found.row.tolist(), found.series.tolist(), strict=True)) == theirs


def verdict(values: FloatArray, threshold: float = 30.0, min_events: int = 200, mean: float = 0.0) -> Detections:
    bank = PageHinkleyBank.verdict(np.array([threshold]), Gate(min_events, 0.32, np.array([mean])))
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
