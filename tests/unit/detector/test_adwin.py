from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river import drift

from services.detector.banks.adwin import AdwinBank
from services.detector.banks.detections import Gate
from services.detector.state import array
from services.detector.structs import FloatArray
from tests.kit.streams import each_block, fired, fired_by_river, random_streams

ADWIN: Any = drift.ADWIN
DELTAS = (0.002, 0.05, 1e-6)


@each_block
def test_detections_and_windows_equal_river(seeds: range) -> None:
    values = random_streams(seeds)
    deltas = [DELTAS[seed % len(DELTAS)] for seed in seeds]
    bank = AdwinBank(np.array(deltas))
    theirs = [ADWIN(delta=delta) for delta in deltas]
    expected = fired_by_river(theirs, values)
    assert len(expected) > 50
    assert fired(bank.update(values)) == expected
    state = bank.snapshot()
    widths, totals = array(state, "width", np.float64), array(state, "total", np.float64)
    assert list(zip(widths.tolist(), totals.tolist(), strict=True)) == [(one.width, one.total) for one in theirs]


def test_the_window_after_a_detection_is_the_one_that_river_keeps() -> None:
    values = random_streams([0])[:, 0]
    adwin, bank = ADWIN(delta=0.05), AdwinBank(np.array([0.05]))
    widths, estimates = [], []
    for value in values.tolist():
        adwin.update(value)
        bank.update(np.array([[value]]))
        window = bank.window(0)
        widths.append(float(array(window, "width", np.float64)[0]) - adwin.width)
        estimates.append(float((array(window, "total", np.float64) / array(window, "width", np.float64))[0]))
        estimates[-1] -= adwin.estimation
    assert not any(widths)
    assert not any(estimates)


@pytest.mark.parametrize(("clock", "max_buckets", "min_window_length", "grace_period"), [(1, 2, 1, 1), (7, 3, 20, 50)])
def test_other_constants_equal_river_too(
    clock: int, max_buckets: int, min_window_length: int, grace_period: int
) -> None:
    values = random_streams(range(30))
    constants = (clock, max_buckets, min_window_length, grace_period)
    found = AdwinBank(np.full(30, 0.01), *constants).update(values)
    assert fired(found) == fired_by_river([ADWIN(0.01, *constants) for _ in range(30)], values)


@pytest.mark.parametrize("later", [0, 3, 40, 400, 999])
def test_a_window_with_a_value_taken_back_is_that_of_the_other_value(later: int) -> None:
    values = (np.random.default_rng(6).random((1_000, 1)) < 0.2).astype(np.float64)
    others = values.copy()
    others[-1 - later] = 1.0 - values[-1 - later]
    bank, expected = AdwinBank(np.array([1e-6])), AdwinBank(np.array([1e-6]))
    bank.update(values)
    expected.update(others)

    bank.take_back(0, later, float(values[-1 - later, 0]), float(others[-1 - later, 0]))

    found, held = bank.snapshot(), expected.snapshot()
    for name in ("total", "squares", "totals", "deviations"):
        assert array(found, name, np.float64) == pytest.approx(array(held, name, np.float64), abs=1e-9), name


def test_a_value_that_is_gone_leaves_the_mean_of_the_others() -> None:
    values = (np.random.default_rng(6).random((500, 1)) < 0.2).astype(np.float64)
    values[450] = 1.0
    bank = AdwinBank(np.array([1e-6]))
    bank.update(values)

    bank.take_back(0, 49, 1.0, None)

    total, width = (float(array(bank.window(0), name, np.float64)[0]) for name in ("total", "width"))
    assert total / width == pytest.approx(np.delete(values, 450).mean())


def test_a_value_that_has_left_the_window_is_out_of_reach() -> None:
    bank = AdwinBank(np.array([1e-6]))
    bank.update(np.ones((100, 1)))
    before = bank.window(0)

    bank.take_back(0, 100, 1.0, 0.0)

    assert str(bank.window(0)) == str(before)


def step(rows: int, at: int, by: float) -> FloatArray:
    values = np.random.default_rng(3).random((rows, 1))
    values[at:] += by
    return values


def gated(min_events: int, min_effect: float) -> AdwinBank:
    return AdwinBank(np.array([0.002]), gate=Gate(min_events, np.array([min_effect]), np.array([0.5])))


def test_a_gated_detection_waits_until_it_has_its_events() -> None:
    values = step(3_000, 1_000, 0.2)
    raw = AdwinBank(np.array([0.002])).update(values)
    found = gated(500, 0.09).update(values)
    assert len(found) == 1
    assert found.events[0] == 500
    assert found.row[0] == raw.row[0] + 500 - raw.events[0]
    since = values[found.row[0] - 499 : found.row[0] + 1]
    assert found.mean[0] == pytest.approx(since.mean(), abs=1e-12)
    assert found.mean[0] == pytest.approx(0.7, abs=0.03)
    assert found.row[0] - 499 == pytest.approx(1_000, abs=60)
    assert found.direction[0] == 1
    assert found.statistic[0] > 1


def test_a_detection_that_fades_before_its_events_is_dropped() -> None:
    values = step(6_000, 1_000, 0.4)
    values[1_200:] -= 0.4
    assert len(AdwinBank(np.array([0.002])).update(values)) >= 1
    assert len(gated(1_500, 0.09).update(values)) == 0


def test_the_first_onset_stands_while_a_detection_waits() -> None:
    values = step(4_000, 1_000, 0.3)
    values[1_500:] += 0.3
    raw = AdwinBank(np.array([0.002])).update(values)
    assert len(raw) >= 2
    found = gated(1_000, 0.09).update(values)
    assert found.row[0] == raw.row[0] + 1_000 - raw.events[0]


def test_a_downward_step_is_told_from_an_upward_one() -> None:
    assert gated(200, 0.09).update(step(3_000, 1_000, -0.3)).direction.tolist() == [-1]


def test_a_seeded_series_continues_the_window_it_was_given() -> None:
    values = random_streams([0, 4, 6], 2_500)
    learned = AdwinBank(np.full(3, 0.01))
    learned.update(values[:2_000])
    bank = AdwinBank(np.full(1, 0.01))
    bank.seed(0, learned.window(2))
    bank.update(values[2_000:, 2:3])
    learned.update(values[2_000:])
    ours, theirs = bank.window(0), learned.window(2)
    for name in ("width", "total", "squares", "ticks"):
        assert ours[name] == theirs[name]


def test_one_bucket_a_level_is_refused() -> None:
    with pytest.raises(ValueError, match="max_buckets"):
        AdwinBank(np.array([0.002]), max_buckets=1)
