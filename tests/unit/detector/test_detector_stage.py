"""What the detector does step by step: acknowledgements, checkpoints, deaths, and the log that it refuses."""

from __future__ import annotations

import pytest

from services.cli.backtest.run import Published
from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from shared.adapters.memory import MemoryWriter
from shared.definition import Definition
from shared.errors import Corrupt, LogIdentity, Unavailable, Undelivered
from shared.failpoints import Died
from shared.log import Record
from tests.kit.detecting import SECONDS, SOURCE, Installation, observations, run, stopped
from tests.kit.keeping import kept, put
from tests.kit.traffic import TOPICS, Log, publication, rows


@pytest.fixture(scope="module")
def uninterrupted() -> Installation:
    installation = Installation()
    installation.write(observations())
    detector = installation.detector()
    run(installation, detector)
    detector.close()
    return installation


def test_the_uninterrupted_run_has_incidents_and_heartbeats_in_it(uninterrupted: Installation) -> None:
    assert len(uninterrupted.alerts()) > 12
    assert uninterrupted.position() == 48


def test_nothing_to_do_is_said() -> None:
    installation = Installation()
    detector = installation.detector()
    assert detector.step(0.0) is False
    installation.write(observations()[:3])
    assert detector.step(0.0) is True
    assert detector.step(0.0) is False


def test_a_checkpoint_is_saved_when_its_time_has_come_and_something_moved() -> None:
    installation = Installation()
    installation.write(observations()[:6])
    detector = installation.detector()

    detector.step(0.0)
    assert installation.position() is None
    installation.clock.sleep(SECONDS)
    detector.step(0.0)
    assert installation.position() == 6

    installation.checkpoints.kept.clear()
    installation.clock.sleep(SECONDS)
    detector.step(0.0)
    assert installation.position() is None


def test_outputs_are_acknowledged_before_the_position_moves() -> None:
    seen: list[int] = []

    class Watched(MemoryCheckpoints):
        def put_if_newer(self, partition: int, position: int, sealed: bytes, over: int | None = None) -> bool:
            seen.append(len(installation.broker.records(TOPICS.alerts)))
            return super().put_if_newer(partition, position, sealed, over)

    installation = Installation()
    installation.checkpoints = Watched()
    installation.write(observations())
    detector = installation.detector()
    while detector.step(0.0):
        pass
    detector.checkpoint()

    assert seen == [len(installation.broker.records(TOPICS.alerts))]
    assert seen[0] > 12


def test_an_output_that_is_not_acknowledged_keeps_the_position_where_it_is() -> None:
    class Unheard(MemoryWriter):
        """A writer whose records never arrive."""

        def poll(self) -> None:
            return

    installation = Installation()
    installation.write(observations())
    detector = installation.detector(writer=Unheard(installation.broker))

    with pytest.raises(Undelivered):
        run(installation, detector)
    assert (installation.position() or 0) < 6  # nothing was to be said yet up to there


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("place", ["emit", "before_checkpoint", "after_checkpoint"])
def test_a_detector_that_dies_anywhere_repeats_itself_to_the_letter(
    place: str, number: int, uninterrupted: Installation
) -> None:
    installation = Installation()
    installation.write(observations())
    with pytest.raises(Died):
        run(installation, installation.detector(fail=f"detector.{place}:exit@{number}"))

    second = installation.detector()
    run(installation, second)
    second.close()

    assert installation.alerts() == uninterrupted.alerts()
    assert installation.checkpoints.kept == uninterrupted.checkpoints.kept


def test_a_checkpoint_that_was_lost_is_made_again_from_the_whole_log(uninterrupted: Installation) -> None:
    installation = Installation()
    installation.write(observations())
    run(installation, installation.detector())
    installation.checkpoints.kept.clear()

    second = installation.detector()
    run(installation, second)
    second.close()

    assert installation.alerts() == uninterrupted.alerts()
    assert installation.checkpoints.kept == uninterrupted.checkpoints.kept


def test_two_detectors_of_a_partition_only_waste_work(uninterrupted: Installation) -> None:
    installation = Installation()
    installation.write(observations())
    slow, fast = installation.detector(), installation.detector()
    slow.step(0.0)
    run(installation, fast)
    fast.close()
    slow.checkpoint()
    assert installation.checkpoints.kept == uninterrupted.checkpoints.kept

    with pytest.raises(Unavailable, match="driftline-main-alerts-0 was opened by somebody else"):
        run(installation, slow)
    run(installation, slow)
    slow.close()

    assert installation.alerts() == uninterrupted.alerts()
    assert installation.checkpoints.kept == uninterrupted.checkpoints.kept


def test_a_detector_that_is_closed_goes_on_where_it_was() -> None:
    installation = Installation()
    installation.write(observations()[:3])
    first = installation.detector()
    first.step(0.0)
    first.close()
    assert installation.position() == 3

    installation.write(observations()[3:5])
    second = installation.detector()
    second.step(0.0)
    assert second.positions == {0: 5}
    assert second.folds[0].duplicates == 0


def test_each_partition_has_a_position_of_its_own() -> None:
    installation = Installation()
    installation.write(observations()[:2], partition=0)
    installation.write(observations()[:1], partition=1)
    detector = installation.detector(partitions=(0, 1))
    detector.step(0.0)
    detector.close()

    assert (installation.position(0), installation.position(1)) == (2, 1)


def test_the_partitions_of_others_are_left_alone() -> None:
    installation = Installation()
    installation.write(observations()[:2], partition=0)
    installation.write(observations()[:2], partition=1)
    detector = installation.detector(partitions=(1,))
    detector.step(0.0)
    detector.close()

    assert (installation.position(0), installation.position(1)) == (None, 2)


def test_a_missing_observation_stops_the_detector_and_moves_no_position() -> None:
    installation = stopped(3)
    installation.write([observations()[3], observations()[5]])
    detector = installation.detector()

    for _ in range(2):
        with pytest.raises(LogIdentity, match="are missing"):
            detector.step(0.0)
    detector.close()
    assert installation.position() == 3


def test_a_detector_goes_on_when_the_missing_observation_is_written_again(uninterrupted: Installation) -> None:
    installation = Installation()
    installation.write([*observations()[:3], *observations()[4:10]])
    detector = installation.detector()
    with pytest.raises(LogIdentity, match=rf"{SOURCE.topic}-0: outputs of shard 0 between"):
        run(installation, detector)

    installation.write(observations())
    run(installation, detector)
    detector.close()

    assert installation.alerts() == uninterrupted.alerts()
    again, whole = (kept(i.checkpoints, 0) for i in (installation, uninterrupted))
    assert again is not None
    assert whole is not None
    assert again.state == whole.state


def test_a_checkpoint_that_does_not_read_back_stops_the_detector() -> None:
    installation = stopped()
    checkpoint = kept(installation.checkpoints, 0)
    assert checkpoint is not None
    put(installation.checkpoints, 0, checkpoint._replace(state=b"not a state"))

    with pytest.raises(Corrupt, match="partition 0"):
        installation.detector().step(0.0)


def test_a_definition_that_is_not_known_yet_is_waited_for(uninterrupted: Installation) -> None:
    class Late(Published):
        """Definitions that become known at the third question."""

        asked = 0

        def definition(self, content_hash: str) -> Definition:
            self.asked += 1
            if self.asked < 3:
                raise Unavailable(f"driftline.control has no definition {content_hash}")
            return super().definition(content_hash)

    installation = Installation()
    installation.write(observations())
    detector = installation.detector(definitions=Late([publication()]))
    for _ in range(2):
        with pytest.raises(Unavailable, match="has no definition"):
            detector.step(0.0)
    run(installation, detector)
    detector.close()

    assert installation.alerts() == uninterrupted.alerts()
    assert installation.checkpoints.kept == uninterrupted.checkpoints.kept


# Checkpoints in the log, too.


def in_both_places(seconds: float = 6.0) -> Installation:
    """Return an installation with observations, whose checkpoints are also in the log, that often."""
    installation = Installation()
    installation.logged_seconds = seconds
    installation.write(observations())
    return installation


def test_a_detector_whose_redis_is_empty_goes_on_from_the_log(uninterrupted: Installation) -> None:
    installation = in_both_places()
    first = installation.detector()
    for _ in range(14):
        first.step(0.0)
        installation.clock.sleep(SECONDS / 2)
    installation.checkpoints.kept.clear()
    logged = kept(installation.logged(), 0)
    assert logged is not None
    installation.broker.delete_records(SOURCE, logged.position)  # nothing else leads to its state any more

    second = installation.detector()
    run(installation, second)
    second.close()

    assert 0 < logged.position < 42
    assert installation.alerts() == uninterrupted.alerts()
    assert kept(installation.checkpoints, 0) == kept(uninterrupted.checkpoints, 0)
    assert kept(installation.logged(), 0) == kept(uninterrupted.checkpoints, 0)


@pytest.mark.parametrize("place", ["between_chunks:exit@3", "before_manifest:exit@2"])
def test_a_detector_that_dies_within_a_checkpoint_goes_on_from_the_one_before(
    place: str, uninterrupted: Installation
) -> None:
    installation = in_both_places(seconds=0.0)
    with pytest.raises(Died):
        run(installation, installation.detector(fail=f"detector.{place}"))
    installation.checkpoints.kept.clear()

    second = installation.detector()
    run(installation, second)
    second.close()

    assert installation.alerts() == uninterrupted.alerts()
    assert kept(installation.logged(), 0) == kept(uninterrupted.checkpoints, 0)


def test_a_detector_that_stops_leaves_its_state_in_the_log() -> None:
    installation = in_both_places(seconds=1e9)
    detector = installation.detector()
    run(installation, detector)
    assert kept(installation.logged(), 0) is None

    detector.close()

    assert kept(installation.logged(), 0) == kept(installation.checkpoints, 0)


def broken() -> Installation:
    """Return an installation whose only checkpoint is not whole."""
    installation = stopped()
    installation.write(observations()[6:8])
    position, sealed = installation.checkpoints.kept[0]
    installation.checkpoints.kept[0] = position, sealed[:-1]
    return installation


def test_a_checkpoint_that_is_not_whole_is_made_again_from_a_log_that_is() -> None:
    installation = broken()
    detector = installation.detector()
    detector.step(0.0)

    assert detector.positions == {0: 3}


def test_a_checkpoint_that_is_not_whole_stops_the_detector_where_nothing_leads_to_its_state() -> None:
    installation = broken()
    installation.broker.delete_records(SOURCE, 2)

    with pytest.raises(Corrupt, match="partition 0 in memory at 6: its checksum differs; no other is left"):
        installation.detector().step(0.0)


def reconfigured() -> tuple[list[Record], Published]:
    """Return a log in whose middle another definition begins, and both definitions."""
    first, second = publication(), publication(false_pages_per_month=4.0)
    log = Log(rows(6_000, drift_at=2_000, error_rate=0.4), stamped=first)
    for start in range(0, 6_000, 500):
        if start == 3_000:
            log.stamped, log.version = second, 2
        log.serve(start, start + 500, cut=250)
        log.tick()
    return log.records, Published([first, second])


@pytest.mark.parametrize("number", [2, 3, 4])
def test_another_definition_takes_effect_at_one_record_whoever_dies_around_it(number: int) -> None:
    records, definitions = reconfigured()
    whole, disturbed = Installation(), Installation()
    for installation in (whole, disturbed):
        installation.write(records)
    with pytest.raises(Died):
        run(disturbed, disturbed.detector(definitions=definitions, fail=f"detector.before_checkpoint:exit@{number}"))
    before = disturbed.position()
    for installation in (whole, disturbed):
        detector = installation.detector(definitions=definitions)
        run(installation, detector)
        detector.close()

    assert before is not None
    assert {watch.configuration_version for watch in detector.folds[0].watches.values()} == {2}
    assert disturbed.alerts() == whole.alerts()
    assert kept(disturbed.checkpoints, 0) == kept(whole.checkpoints, 0)
