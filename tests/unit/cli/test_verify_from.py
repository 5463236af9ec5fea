"""A verification that begins at a checkpoint in the topic, and what it says of the checkpoints there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from services.cli.verify.report import Check, Outcome, Proof
from services.cli.verify.run import verify
from services.cli.verify.starts import NEWEST
from services.detector.checkpoints import Checkpoint
from services.detector.logged_checkpoints import LoggedCheckpoints
from shared.adapters.memory import MemoryBroker
from shared.bookmarks import Bookmark
from shared.log import TopicPartition
from tests.kit.keeping import SEAL, kept, put
from tests.kit.next_release import next_release
from tests.kit.pipeline import Pipeline, monitored
from tests.kit.tampering import rewrite
from tests.kit.verifying import Left, written

ROWS = 800
TIMES = 3


def logged(broker: MemoryBroker, topic: str) -> LoggedCheckpoints:
    return LoggedCheckpoints(broker.reader, broker.writer(), topic, "main", chunk_bytes=64 << 10)


@cache
def lived() -> tuple[Left, list[int], list[int]]:
    """Return what is left after three checkpoints in the topic and work since; their positions, and when each came."""
    pipeline = Pipeline(monitored(loan={}), observations_partitions=1)
    positions, times = [], []
    for number in range(TIMES):
        written(pipeline, ROWS, first=number * ROWS)
        checkpoint = kept(pipeline.checkpoints, 0)
        assert checkpoint is not None
        put(logged(pipeline.broker, pipeline.topics.checkpoints), 0, checkpoint)
        positions.append(checkpoint.position)
        times.append(pipeline.clock.now_ms())
    written(pipeline, ROWS, first=TIMES * ROWS)
    return Left.of(pipeline), positions, times


@pytest.fixture
def left() -> Left:
    return lived()[0].copy()


def proofs(left: Left, before_ms: int | None = None) -> dict[Check, Proof]:
    """Return the proofs of the fold of the observations."""
    report = verify(left.installation(), before_ms)
    source = f"{left.topics.observations}-0"
    return {proof.check: proof for proof in report.proofs if proof.log == source}


def trim(left: Left, low: int) -> None:
    log = left.broker.log(TopicPartition(left.topics.observations, 0))
    log.records[:] = [record for record in log.records if record.offset >= low]
    log.low = low


def believed(proof: Proof) -> Iterator[str]:
    return (why for why in proof.not_covered if why.endswith("is believed"))


def test_the_checkpoints_in_the_topic_are_the_fold_up_to_their_positions(left: Left) -> None:
    _, positions, _ = lived()
    found = proofs(left)

    assert verify(left.installation()).outcome is Outcome.CLEAN
    assert {found[check].start for check in found} == {0}
    assert found[Check.LOGGED_CHECKPOINT].end == positions[-1] < found[Check.CHECKPOINT].end
    assert found[Check.LOGGED_CHECKPOINT].counts["bytes"] > 0
    assert all(proof.not_covered == [] for proof in found.values())


@pytest.mark.parametrize("which", range(TIMES))
def test_the_newest_checkpoint_that_was_written_by_a_time_is_where_the_fold_begins(left: Left, which: int) -> None:
    _, positions, times = lived()
    found = proofs(left, times[which])

    assert {proof.start for proof in found.values()} == {positions[which]}
    assert {why for proof in found.values() for why in believed(proof)} == {
        f"offsets 0..{positions[which]}: it was asked for, so the checkpoint there is believed"
    }
    assert not any(proof.different for proof in found.values())
    assert found[Check.ALERTS].counts["records"] == found[Check.ALERTS].end - positions[which]
    assert found[Check.CHECKPOINT].end == proofs(left)[Check.CHECKPOINT].end


def test_the_newest_of_all_is_begun_at_where_none_is_named(left: Left) -> None:
    _, positions, _ = lived()
    found = proofs(left, NEWEST)

    assert found[Check.ALERTS].start == positions[-1]
    assert "bytes" not in found[Check.LOGGED_CHECKPOINT].counts


def test_a_time_before_all_checkpoints_begins_where_the_log_begins(left: Left) -> None:
    _, _, times = lived()

    assert proofs(left, times[0] - 1)[Check.ALERTS].start == 0


def test_a_log_that_has_lost_its_beginning_is_folded_from_the_oldest_checkpoint_that_it_goes_on_from(
    left: Left,
) -> None:
    _, positions, times = lived()
    trim(left, positions[0] + 1)

    for before_ms in (None, times[0]):
        found = proofs(left, before_ms)
        assert {proof.start for proof in found.values()} == {positions[1]}
        assert {why for proof in found.values() for why in believed(proof)} == {
            f"offsets 0..{positions[1]}: the log has lost its beginning, so the checkpoint there is believed"
        }
        assert not any(proof.different for proof in found.values())


def test_where_the_log_begins_beyond_every_checkpoint_nothing_can_be_said(left: Left) -> None:
    low = left.broker.high(TopicPartition(left.topics.observations, 0))
    left.checkpoints.kept.clear()
    trim(left, low)

    found = proofs(left, NEWEST)

    assert {proof.is_decided for proof in found.values()} == {False}


def other_state(left: Left, position: int) -> Checkpoint:
    """Return a checkpoint that is whole and says what the fold did not say there."""
    (newest,) = [one for one in left.installation().logged.of(0) if one.position == position]
    given = newest.read()
    return given._replace(position=position + 1)


def test_a_checkpoint_in_the_topic_that_is_not_the_fold_is_named(left: Left) -> None:
    _, positions, _ = lived()
    put(logged(left.broker, left.topics.checkpoints), 0, other_state(left, positions[-1]))

    proof = proofs(left)[Check.LOGGED_CHECKPOINT]

    assert proof.different > 0
    assert {one.at for one in proof.differences} == {f"driftline.checkpoints-0: checkpoint at {positions[-1] + 1}"}
    assert any(one.text.startswith("last sequence numbers: ") for one in proof.differences)


def test_a_checkpoint_beyond_the_end_of_the_log_is_named(left: Left) -> None:
    _, positions, _ = lived()
    end = left.broker.high(TopicPartition(left.topics.observations, 0))
    put(logged(left.broker, left.topics.checkpoints), 0, other_state(left, positions[-1])._replace(position=end + 7))

    (difference,) = proofs(left)[Check.LOGGED_CHECKPOINT].differences

    assert difference.text == f"stands at {end + 7} of the observations, which end at {end}"


def test_a_checkpoint_whose_seal_is_broken_is_named_and_not_begun_at(left: Left) -> None:
    _, positions, _ = lived()
    place = logged(left.broker, left.topics.checkpoints)
    place.put_if_newer(0, positions[-1] + 1, SEAL.close(0, Checkpoint(positions[-1] + 1, b""))[:-1] + b"x")

    assert proofs(left, NEWEST)[Check.ALERTS].start == positions[-1]
    (difference,) = proofs(left)[Check.LOGGED_CHECKPOINT].differences
    assert difference.at == f"driftline.checkpoints-0: checkpoint at {positions[-1] + 1}"


def test_a_checkpoint_of_another_topic_of_the_same_name_is_neither_begun_at_nor_compared(left: Left) -> None:
    _, positions, _ = lived()
    strange = other_state(left, positions[-1])._replace(bookmark=Bookmark("another"))
    put(logged(left.broker, left.topics.checkpoints), 0, strange)

    assert proofs(left, NEWEST)[Check.ALERTS].start == positions[-1]
    proof = proofs(left)[Check.LOGGED_CHECKPOINT]
    at = f"driftline.checkpoints-0: checkpoint at {strange.position}"
    assert (proof.different, proof.not_covered) == (0, [f"{at}: it is of another topic of this name"])


def test_checkpoints_from_before_a_repair_are_none(left: Left) -> None:
    logged(left.broker, left.topics.checkpoints).drop(0)

    assert left.installation().logged.of(0) == []
    proof = proofs(left, NEWEST)[Check.LOGGED_CHECKPOINT]
    assert (proof.start, proof.end, proof.counts, proof.not_covered) == (0, 0, {}, [])


def test_a_checkpoint_whose_chunks_are_gone_is_none(left: Left) -> None:
    source = TopicPartition(left.topics.checkpoints, 0)
    last = max(r.offset for r in left.broker.records(source.topic) if (r.key or b"").endswith(b"/0/0"))
    rewrite(left.broker, source, lambda records: [r for r in records if r.offset != last])

    assert len(left.installation().logged.of(0)) < TIMES


def test_a_checkpoint_of_the_release_before_is_brought_on_and_then_compared(left: Left) -> None:
    with next_release():
        proof = proofs(left)[Check.LOGGED_CHECKPOINT]

    assert (proof.different, proof.end) == (0, lived()[1][-1])
