from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river import drift
from river.drift import binary

from services.detector.banks.detections import Detections
from services.detector.banks.hddm_a import HddmABank
from services.detector.banks.river_objects import NAMES, RiverBank
from services.detector.state import Fields, load, pack, save
from services.detector.structs import FloatArray
from shared.detectors import Plain
from shared.errors import Corrupt
from tests.kit.streams import fired, fired_by_river, random_streams

EAGER: dict[str, dict[str, Plain]] = {
    "DDM": {"warm_start": 5, "drift_threshold": 2.0},
    "DummyDriftDetector": {"trigger_method": "random", "t_0": 30, "w": 10, "seed": 3},
    "EDDM": {"warm_start": 5},
    "FHDDM": {"sliding_window_size": 20, "short_window_size": 5, "confidence_level": 0.05},
    "HDDMA": {"drift_confidence": 0.05, "two_sided_test": True},
    "KSWIN": {"alpha": 0.2, "window_size": 20, "stat_size": 5, "seed": 3},
    "NoDrift": {},
    "PageHinkley": {"min_instances": 5, "threshold": 2.0},
}
each_detector = pytest.mark.parametrize("detector", NAMES)


def shifts(rows: int) -> FloatArray:
    """Return [rows, 2] flags whose rate changes every 30 rows."""
    source = np.random.default_rng(80)
    rates = np.where(np.arange(rows) // 30 % 2 == 0, 0.15, 0.85)
    return (source.random((rows, 2)) < rates[:, np.newaxis]).astype(np.float64)


def entries(found: Detections, start: int = 0) -> list[tuple[float, ...]]:
    columns = (found.series, found.events, found.mean, found.statistic, found.direction)
    return list(zip((found.row + start).tolist(), *(column.tolist() for column in columns), strict=True))


def test_every_detector_of_river_is_offered_but_those_that_keep_their_state_to_themselves() -> None:
    assert set(NAMES) == set(EAGER)
    no_detectors = {"binary", "datasets", "DriftRetrainingClassifier", "PeriodicTrigger"}  # the last does not exist
    assert {*drift.__all__, *binary.__all__} - set(NAMES) - no_detectors == {"ADWIN", "HDDMW"}


@each_detector
def test_a_detector_resumes_at_every_row_bit_for_bit(detector: str) -> None:
    values = shifts(75)[:, :1]
    whole = RiverBank(detector, 1, EAGER[detector])
    expected = entries(whole.update(values))
    assert bool(expected) == (detector != "NoDrift")
    walker = RiverBank(detector, 1, EAGER[detector])
    report: list[tuple[float, ...]] = []
    for row in range(len(values)):
        resumed = load(RiverBank, save(walker))
        assert save(resumed) == save(walker)
        assert report + entries(resumed.update(values[row:]), row) == expected
        assert save(resumed) == save(whole)
        report += entries(walker.update(values[row : row + 1]), row)


@each_detector
def test_detections_equal_those_of_the_object(detector: str) -> None:
    values = shifts(400)
    kind: Any = getattr(drift, detector, None) or getattr(binary, detector)
    theirs = [kind(**EAGER[detector]) for _ in range(2)]
    assert fired(RiverBank(detector, 2, EAGER[detector]).update(values)) == fired_by_river(theirs, values)


def test_defaults_are_those_of_river() -> None:
    flags = random_streams(range(4, 74, 7))
    assert fired(RiverBank("HDDMA", 10).update(flags)) == fired(HddmABank(np.full(10, 0.001)).update(flags))


def test_a_detection_counts_from_the_start_of_its_detector() -> None:
    values = np.zeros((400, 1))
    values[100:200] = 4.0
    values[300:] = 4.0
    found = RiverBank("PageHinkley", 1, {"threshold": 10}).update(values)
    starts = [0, *(found.row + 1).tolist()]
    assert len(found) > 1
    for i, row in enumerate(found.row.tolist()):
        assert found.events[i] == row - starts[i] + 1
        assert found.mean[i] == pytest.approx(values[starts[i] : row + 1].mean())
    assert not found.statistic.any()
    assert not found.direction.any()


def test_binary_detectors_read_any_value_but_zero_as_set() -> None:
    flags = shifts(400)
    found = RiverBank("DDM", 2).update(flags)
    assert len(found) > 0
    assert fired(RiverBank("DDM", 2).update(flags * -7.5)) == fired(found)


@pytest.mark.parametrize(
    ("detector", "parameters", "why"),
    [
        ("ADWIN", {}, "`adwin` is the same detector"),
        ("HDDMW", {}, "compiled code"),
        ("Adwin", {}, "there are DDM, DummyDriftDetector, EDDM, FHDDM, HDDMA, KSWIN, NoDrift, PageHinkley"),
        ("DriftRetrainingClassifier", {}, "no detector"),
        ("DDM", {"warm": 30}, "there are warm_start, warning_threshold, drift_threshold"),
        ("NoDrift", {"warm": 30}, "there are none"),
        ("KSWIN", {}, "give it a seed"),
        ("KSWIN", {"seed": None}, "KSWIN.seed is int, not None"),
        ("DummyDriftDetector", {"t_0": 100}, "give it a seed"),
        ("DDM", {"warm_start": True}, "DDM.warm_start is int, not True"),
        ("DDM", {"drift_threshold": "3"}, "DDM.drift_threshold is float, not '3'"),
        ("DDM", {"drift_threshold": float("nan")}, "DDM.drift_threshold is float, not nan"),
        ("PageHinkley", {"threshold": [1.0]}, "PageHinkley.threshold is float"),
        ("PageHinkley", {"mode": "sideways"}, "Invalid 'mode'"),
        ("HDDMA", {"drift_confidence": 2.0}, "does not work with"),
        ("KSWIN", {"window_size": 20, "stat_size": 15, "seed": 1}, "does not work with"),
        ("KSWIN", {"window_size": 1_000_000, "seed": 1}, "at most 10000"),
        ("FHDDM", {"sliding_window_size": 0}, "does not work with"),
        ("KSWIN", {"seed": 1 << 70}, "does not work with"),
    ],
)
def test_what_cannot_work_is_refused_by_name(detector: str, parameters: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RiverBank(detector, 1, parameters)


def restored(**changes: Any) -> RiverBank:
    bank = RiverBank("KSWIN", 1, {"seed": 1})
    fields: Fields = {**bank.snapshot(), **changes}
    return load(RiverBank, pack(bank.name, bank.version, fields))


def state(**changes: Any) -> list[Any]:
    objects: Any = RiverBank("KSWIN", 1, {"seed": 1}).snapshot()["objects"]
    return [{**objects[0], **changes}]


@pytest.mark.parametrize(
    "changes",
    [
        {"river": "0.0.1"},
        {"detector": "Unknown"},
        {"detector": "DDM"},
        {"parameters": {"seed": 1, "other": 2}},
        {"series": 2},
        {"objects": []},
        {"objects": [1]},
        {"objects": [{}]},
        {"objects": state(more=1)},
        {"objects": state(n=[1])},
        {"objects": state(window=1)},
        {"objects": state(window=[[1]])},
        {"objects": state(_rng=1)},
        {"objects": state(_rng={"version": 3, "words": np.zeros(3, np.uint32), "gauss": None})},
    ],
    ids=str,
)
def test_a_state_of_something_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Corrupt):
        restored(**changes)


def test_an_unchanged_state_is_read() -> None:
    assert save(restored()) == save(RiverBank("KSWIN", 1, {"seed": 1}))
