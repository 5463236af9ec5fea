from __future__ import annotations

import numpy as np
import pytest

from services.detector.performance.recovery import MIN_LABELS, Recovery
from services.detector.structs import FloatArray


def flags(rate: float, rows: int, seed: int = 7) -> np.ndarray:
    return (np.random.default_rng(seed).random(rows) < rate).astype(np.float64)


def recovery() -> Recovery:
    return Recovery(p_now=[0.3], p0=[0.12])


def update(of: Recovery, values: FloatArray) -> int | None:
    return of.update(values, np.zeros(len(values), np.int64))


def test_what_is_usual_of_early_labels_is_no_recovery_of_late_ones() -> None:
    ages = np.arange(20_000) % 2
    values = np.where(ages == 0, flags(0.5, 20_000), flags(0.3, 20_000, seed=8))
    watched = Recovery(p_now=[0.8, 0.3], p0=[0.55, 0.1])

    assert watched.update(values[ages == 1], ages[ages == 1]) is None
    assert watched.update(values[ages == 0], ages[ages == 0]) is not None


def test_a_monitor_back_at_its_reference_recovers_after_the_least_number_of_labels() -> None:
    row = update(recovery(), flags(0.1, 5_000))

    assert row is not None
    assert MIN_LABELS - 1 <= row < 2 * MIN_LABELS


def test_a_quiet_run_of_labels_is_no_recovery() -> None:
    watched = recovery()

    assert update(watched, np.concatenate([np.zeros(100), flags(0.3, 5_000)])) is None


def test_a_monitor_that_stays_bad_does_not_recover() -> None:
    assert update(recovery(), flags(0.3, 20_000)) is None


@pytest.mark.parametrize("cut", [1, 7, 450, 633])
def test_recovery_does_not_depend_on_how_labels_are_cut(cut: int) -> None:
    values = np.where(np.arange(3_000) % 11 == 3, np.nan, flags(0.1, 3_000))
    whole, parts = recovery(), recovery()

    rows = [update(parts, values[start : start + cut]) for start in range(0, len(values), cut)]
    first = next(place * cut + row for place, row in enumerate(rows) if row is not None)

    assert first == update(whole, values)
    assert parts == whole
