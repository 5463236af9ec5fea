from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river.drift import binary

from services.detector.banks.hddm_a import HddmABank
from services.detector.state import array
from services.detector.structs import FloatArray
from tests.kit.streams import each_block, fired, fired_by_river, random_streams

HDDMA: Any = binary.HDDMA
CONFIDENCES = (0.001, 0.05, 1e-6)


def assert_equal_to_river(values: FloatArray, two_sided_test: bool) -> None:
    confidences = [CONFIDENCES[series % len(CONFIDENCES)] for series in range(values.shape[1])]
    bank = HddmABank(np.array(confidences), two_sided_test)
    theirs = [HDDMA(confidence, two_sided_test=two_sided_test) for confidence in confidences]
    expected = fired_by_river(theirs, values)
    assert len(expected) > 20
    assert fired(bank.update(values)) == expected
    means = [0.0 if one.drift_detected else one._z.get() for one in theirs]
    assert array(bank.snapshot(), "mean", np.float64).tolist() == means


@each_block
def test_detections_and_means_equal_river(seeds: range) -> None:
    assert_equal_to_river(random_streams(seeds, 300), seeds.start // len(seeds) % 2 == 1)


@pytest.mark.parametrize("two_sided_test", [False, True])
def test_detections_and_means_of_long_streams_equal_river(two_sided_test: bool) -> None:
    assert_equal_to_river(random_streams(range(14), 3_000), two_sided_test)


def flags(*parts: tuple[int, int]) -> FloatArray:
    """Return [rows, 1] flags: each part is rows and of how many rows the last one is set."""
    return np.concatenate([np.arange(rows) % every == every - 1 for rows, every in parts])[:, None].astype(np.float64)


def test_more_errors_are_found_with_their_onset_and_rate() -> None:
    values = flags((3_000, 10), (1_000, 2))
    found = HddmABank(np.array([0.001])).update(values)
    row, events = int(found.row[0]), int(found.events[0])
    assert row - events + 1 == pytest.approx(3_000, abs=10)
    assert row < 3_100
    assert found.mean[0] == pytest.approx(values[row - events + 1 : row + 1].mean(), abs=1e-12)
    assert found.statistic[0] >= 1.0
    assert found.direction[0] == 1


def test_fewer_errors_are_found_by_a_two_sided_bank_only() -> None:
    values = flags((3_000, 2), (1_000, 10))
    assert len(HddmABank(np.array([0.001])).update(values)) == 0
    found = HddmABank(np.array([0.001]), two_sided_test=True).update(values)
    assert found.row[0] - found.events[0] + 1 == pytest.approx(3_000, abs=10)
    assert found.direction.tolist() == [-1]


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, np.nan])
def test_a_confidence_that_is_no_probability_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="drift_confidence"):
        HddmABank(np.array([0.001, confidence]))
