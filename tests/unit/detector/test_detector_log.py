"""The log that a detector refuses to go on with, and the one that it goes on with."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from services.detector.checkpoints import Candidate
from shared.bookmarks import CHECK_SECONDS
from shared.errors import LogIdentity
from tests.kit.detecting import SOURCE, Installation, observations, run, stopped
from tests.kit.keeping import kept
from tests.kit.traffic import TOPICS


def test_a_log_shorter_than_the_checkpoint_stops_the_detector() -> None:
    installation = stopped()
    installation.broker.truncate(SOURCE, 4)

    with pytest.raises(LogIdentity, match=f"{SOURCE.topic}-0: the checkpoint is at 6, the log holds 0 to 4"):
        installation.detector().step(0.0)


def rewritten(installation: Installation) -> None:
    """Let another topic take the place of the observations, as long and with the same records."""
    installation.broker.delete(SOURCE.topic)
    installation.broker.create(*TOPICS.specs())
    installation.write(observations()[:8])


def test_a_topic_that_was_created_again_and_is_as_long_stops_the_detector() -> None:
    installation = stopped()
    rewritten(installation)

    with pytest.raises(
        LogIdentity, match=f"the checkpoint is of the topic {SOURCE.topic}#1, this one is {SOURCE.topic}#2"
    ):
        installation.detector().step(0.0)
    assert installation.position() == 6


def test_a_tail_that_was_written_anew_stops_the_detector() -> None:
    installation = stopped()
    installation.broker.truncate(SOURCE, 5)
    installation.write(observations()[6:8])

    with pytest.raises(LogIdentity, match=f"{SOURCE.topic}-0: record 5 is not the one that the checkpoint has"):
        installation.detector().step(0.0)


def test_a_detector_at_work_looks_at_its_log_again_every_few_minutes() -> None:
    installation = Installation()
    installation.write(observations()[:3])
    detector = installation.detector()
    detector.step(0.0)
    rewritten(installation)
    detector.step(0.0)

    installation.clock.sleep(CHECK_SECONDS)

    with pytest.raises(LogIdentity, match="the checkpoint is of the topic"):
        detector.step(0.0)


def test_looking_at_the_log_again_changes_nothing() -> None:
    installation, uninterrupted = Installation(), stopped(len(observations()))
    installation.write(observations())
    detector = installation.detector()

    while detector.step(0.0):
        installation.clock.sleep(CHECK_SECONDS)
    detector.close()

    assert installation.alerts() == uninterrupted.alerts()
    assert kept(installation.checkpoints, 0) == kept(uninterrupted.checkpoints, 0)


def test_a_log_that_grows_while_a_detector_starts_is_the_same_log() -> None:
    installation = stopped(4)

    class Racing(MemoryCheckpoints):
        """A store in which another detector is faster: it folds what comes while this one asks."""

        def candidates(self, partition: int) -> Sequence[Candidate]:
            installation.write(observations()[4:6])
            run(installation, faster)
            faster.close()
            return installation.checkpoints.candidates(partition)

    faster, late = installation.detector(), installation.detector(checkpoints=Racing())
    late.step(0.0)

    assert late.positions == {0: 6}


def test_a_log_trimmed_above_the_checkpoint_stops_the_detector() -> None:
    installation = stopped()
    installation.write(observations()[6:10])
    installation.broker.delete_records(SOURCE, 8)

    with pytest.raises(LogIdentity, match="is at 6, the log holds 8 to 10"):
        installation.detector().step(0.0)


def test_a_log_trimmed_up_to_the_checkpoint_is_read_on() -> None:
    installation = stopped()
    installation.broker.delete_records(SOURCE, 6)
    installation.write(observations()[6:8])
    detector = installation.detector()
    detector.step(0.0)

    assert detector.positions == {0: 8}


def test_without_a_checkpoint_a_trimmed_log_is_read_from_where_it_begins() -> None:
    installation = stopped()
    installation.checkpoints.kept.clear()
    installation.broker.delete_records(SOURCE, 4)
    detector = installation.detector()
    detector.step(0.0)

    assert detector.positions == {0: 6}
    assert detector.folds[0].anchored == [0]
