"""Detectors that share partitions out among each other: whoever comes and goes, the alerts are those of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

import pytest

from services.detector.stage import DetectorStage
from shared.runtime import drain
from shared.shares import GroupShares
from tests.kit.detecting import SECONDS, Installation, observations
from tests.kit.traffic import TOPICS

PARTITIONS = (0, 1)


@pytest.fixture(scope="module")
def alone() -> Installation:
    installation = Installation()
    detector = installation.detector(partitions=PARTITIONS)
    drive(installation, [detector])
    detector.close()
    return installation


def drive(installation: Installation, detectors: Sequence[DetectorStage]) -> None:
    """Write the log to both partitions a few records at a time, and step after each."""
    log = iter(observations())
    while some := list(islice(log, 3)):
        for partition in PARTITIONS:
            installation.write(some, partition)
        for detector in detectors:
            detector.step(0.0)
        installation.clock.sleep(SECONDS / 2)
    drain(detectors)


def member(installation: Installation) -> DetectorStage:
    reader = installation.broker.group_reader("detector-shares", TOPICS.observations)
    return installation.detector(shares=GroupShares(reader))


def test_partitions_that_change_hands_are_folded_as_by_one(alone: Installation) -> None:
    installation = Installation()
    detectors = [member(installation)]
    log = iter(observations())
    number = 0
    while some := list(islice(log, 3)):
        for partition in PARTITIONS:
            installation.write(some, partition)
        number += 1
        if number % 4 == 2:
            detectors.append(member(installation))
        elif number % 4 == 0:
            detectors.pop(0).close()
        for detector in detectors:
            detector.step(0.0)
        installation.clock.sleep(SECONDS / 2)
    for detector in detectors:
        while detector.step(0.0):
            pass
        detector.close()

    assert number > 8
    assert Counter(installation.alerts()) == Counter(alone.alerts())
    assert [installation.position(partition) for partition in PARTITIONS] == [48, 48]
    assert installation.checkpoints.kept == alone.checkpoints.kept


def test_a_partition_is_checkpointed_before_it_is_left() -> None:
    installation = Installation()
    first = member(installation)
    for partition in PARTITIONS:
        installation.write(observations()[:5], partition)
    while first.step(0.0):
        pass
    assert [installation.position(partition) for partition in PARTITIONS] == [None, None]

    second = member(installation)
    first.step(0.0)
    second.step(0.0)

    assert [installation.position(partition) for partition in PARTITIONS] == [5, 5]
    assert (first.positions, second.positions) == ({0: 5}, {1: 5})
    assert (set(first.folds), set(second.folds)) == ({0}, {1})


def test_what_stays_with_a_detector_is_not_folded_again() -> None:
    installation = Installation()
    first = member(installation)
    installation.write(observations()[:5], 0)
    while first.step(0.0):
        pass
    kept = first.folds[0]
    second = member(installation)
    for detector in (first, second):
        detector.step(0.0)

    installation.write(observations()[5:8], 0)
    first.step(0.0)

    assert first.folds[0] is kept
    assert first.positions == {0: 8}


def test_a_detector_shows_only_what_it_has() -> None:
    installation = Installation()
    detectors = [member(installation)]
    drive(installation, detectors)
    detectors.append(member(installation))
    for _ in range(2):
        for detector in detectors:
            detector.step(0.0)
            installation.clock.sleep(SECONDS)

    shown = [{measure.name: measure.samples for measure in detector.measures()} for detector in detectors]
    assert [set(found["position"]) for found in shown] == [
        {(TOPICS.observations, "0")},
        {(TOPICS.observations, "1")},
    ]
    assert {at[1] for at in shown[0]["detector_checkpoint_timestamp_seconds"]} == {"0"}
