"""What the joiner does step by step: batches, acknowledgements, shards, and the log that it refuses to go on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pytest

from services.joiner.adapters.memory_view import MemoryView
from services.joiner.asking import Answer
from services.joiner.meta import Counters
from services.joiner.stage import JoinerStage
from services.joiner.view import Change, Reading
from shared.adapters.memory import MemoryReader
from shared.bookmarks import CHECK_SECONDS
from shared.errors import ConfigurationError, LogIdentity, Unavailable
from shared.log import TopicPartition
from shared.shares import FixedShares, partitions_of
from tests.kit.halves import HORIZON, HOUR, KEY, MODEL, L, P, labels, predictions, request, tick
from tests.kit.joining import TOPICS, Installation


def test_a_batch_that_crosses_a_rotation_still_sees_the_older_generation() -> None:
    run = Installation()
    joiner = run.joiner()
    for half in [(tick(), HOUR), (predictions(P("a")), 2 * HOUR), (tick(), HOUR + HORIZON)]:
        run.write(half)
        joiner.step(0.0)
    # "a" is in the older generation now, alive until 2 h + horizon; the batch ends where that generation is dropped.
    for half in [(labels(L("a")), 2 * HOUR + HORIZON), (tick(), HOUR + 2 * HORIZON)]:
        run.write(half)
    joiner.step(0.0)
    assert run.counters()[MODEL] == Counters(served=1, labels_joined=1)


def test_outputs_are_acknowledged_before_the_position_moves() -> None:
    run = Installation()
    order: list[str] = []

    class Watched(MemoryView):
        def advance(self, shard: int, position: int | None, change: Change) -> bool:
            order.append(f"{len(run.broker.records(TOPICS.observations))} written")
            return super().advance(shard, position, change)

    joiner = run.joiner(view=Watched())
    run.write((predictions(P("a")), 0))
    joiner.step(0.0)
    assert order == ["1 written"]


def test_a_joiner_leaves_the_shards_of_others_alone() -> None:
    run = Installation()
    run.write((predictions(P("a")), 0), shard=0)
    run.write((predictions(P("b")), 0), shard=1)
    joiner = run.joiner(shards=partitions_of("1/2", TOPICS.halves_partitions))
    joiner.step(0.0)
    assert run.view.load(0).position is None
    assert run.view.load(1).position == 1


def test_nothing_to_do_is_said() -> None:
    run = Installation()
    joiner = run.joiner()
    assert joiner.step(0.0) is False
    run.write((predictions(P("a")), 0))
    assert joiner.step(0.0) is True
    assert joiner.step(0.0) is False


@pytest.mark.parametrize("rows", [1_500, 2_000, 4_500])
def test_batches_are_whole_blocks_of_about_four_thousand_rows(rows: int) -> None:
    run = Installation()
    sizes: list[int] = []

    class Watched(MemoryView):
        def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
            sizes.append(len(ids))
            return super().read(shard, position, ids)

    for block in range(4):
        run.write((predictions(*(P(f"{block}/{row}") for row in range(rows))), 0))
    run.joiner(view=Watched()).step(0.0)
    assert sizes == [rows * max(1, 4_000 // rows)] * (4 // max(1, 4_000 // rows))


class Recorded:
    """`Asking` that says when calls begin and when somebody waits for them."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def __call__(self, call: Callable[[], Answer], /) -> Callable[[], Answer]:
        assert isinstance(call, partial)
        name = f"{call.func.__name__} {call.args[0]}"
        self.order.append(f"begin {name}")

        def answer() -> Answer:
            self.order.append(f"wait for {name}")
            answered: Answer = call()
            return answered

        return answer


def test_a_shard_is_folded_while_the_view_works_for_another_one() -> None:
    run, asking = Installation(), Recorded()
    for shard in (0, 1):
        run.write((predictions(P(f"{shard}")), 0), shard)
    joiner = run.joiner(asking=asking)
    joiner.step(0.0)
    assert asking.order == [
        "begin read 0",
        "begin read 1",
        "wait for read 0",
        "begin advance 0",
        "wait for read 1",
        "begin advance 1",
        "wait for advance 0",
        "wait for advance 1",
    ]
    assert [run.view.load(shard).position for shard in (0, 1)] == [1, 1]

    run.write((predictions(P("more")), 0), 1)
    joiner.step(0.0)
    assert len(asking.order) == 8  # one shard alone has nobody to wait for


def test_a_shard_whose_view_moved_does_not_hold_up_the_others() -> None:
    run = Installation()
    joiner = run.joiner()
    joiner.step(0.0)
    for shard in (0, 1):
        run.write((predictions(P(f"{shard}")), 0), shard)
    run.joiner(shards=[0]).step(0.0)
    joiner.step(0.0)
    assert joiner.account.restarts == 1
    assert [run.view.load(shard).position for shard in (0, 1)] == [1, 1]


def stored(run: Installation, *, count: int = 3) -> None:
    """Fold a few records with a joiner that then goes away."""
    for n in range(count):
        run.write((predictions(P(f"{n}")), 0))
    run.joiner().step(0.0)


def test_a_truncated_log_stops_the_joiner() -> None:
    run = Installation()
    stored(run)
    run.broker.truncate(TopicPartition(TOPICS.halves, 0), 1)
    with pytest.raises(LogIdentity, match="the view is at 3, the log holds 0 to 1; restore "):
        run.joiner().step(0.0)


def test_a_log_trimmed_above_the_position_stops_the_joiner() -> None:
    run = Installation()
    stored(run)
    for n in range(3):
        run.write((predictions(P(f"new {n}")), 0))
    run.broker.delete_records(TopicPartition(TOPICS.halves, 0), 4)
    with pytest.raises(LogIdentity, match="the view is at 3, the log holds 4 to 6"):
        run.joiner().step(0.0)


def test_a_log_trimmed_up_to_the_position_is_read_on() -> None:
    run = Installation()
    stored(run)
    run.broker.delete_records(TopicPartition(TOPICS.halves, 0), 3)
    run.write((predictions(P("new")), 0))
    run.joiner().step(0.0)
    assert run.view.load(0).position == 4


def test_another_log_of_the_same_length_stops_the_joiner() -> None:
    run = Installation()
    stored(run)
    run.broker.delete(TOPICS.halves)
    run.broker.create(*TOPICS.specs())
    for n in range(4):
        run.write((predictions(P(f"other {n}")), 0))
    with pytest.raises(LogIdentity, match=f"the view is of the topic {TOPICS.halves}#1, this one is {TOPICS.halves}#2"):
        run.joiner().step(0.0)


def test_a_tail_that_was_written_anew_stops_the_joiner() -> None:
    run = Installation()
    stored(run)
    run.broker.truncate(TopicPartition(TOPICS.halves, 0), 2)
    for n in range(4):
        run.write((predictions(P(f"other {n}")), 0))
    with pytest.raises(LogIdentity, match="record 2 is not the one that the view has"):
        run.joiner().step(0.0)


def test_a_joiner_at_work_looks_at_its_log_again_every_few_minutes() -> None:
    run = Installation()
    joiner = run.joiner()
    run.write((predictions(P("a")), 0))
    joiner.step(0.0)
    run.broker.delete(TOPICS.halves)
    run.broker.create(*TOPICS.specs())
    run.write((predictions(P("b")), 0))
    joiner.step(0.0)
    run.clock.sleep(CHECK_SECONDS)
    with pytest.raises(LogIdentity, match="the view is of the topic"):
        joiner.step(0.0)
    assert run.view.load(0).position == 1


def test_looking_at_the_log_again_changes_nothing() -> None:
    run = Installation()
    joiner = run.joiner()
    for n in range(3):
        run.write((predictions(P(f"{n}")), 0))
        assert joiner.step(0.0) is True
        run.clock.sleep(CHECK_SECONDS)
    assert [len(run.accepted()), run.view.load(0).position] == [3, 3]


def test_another_count_of_observation_partitions_refuses_to_start() -> None:
    run = Installation()
    topics = replace(TOPICS, observations_partitions=3)
    joiner = JoinerStage(
        run.broker.reader(),
        run.broker.writer(),
        run.view,
        clock=run.clock,
        topics=topics,
        key=KEY,
        shares=FixedShares([0]),
    )
    with pytest.raises(ConfigurationError, match="has 2 partitions, expected 3"):
        joiner.step(0.0)


def test_a_log_that_goes_away_while_seeking_is_waited_for() -> None:
    run = Installation()

    class Away(MemoryReader):
        is_away = False

        def seek(self, source: TopicPartition, offset: int) -> None:
            if self.is_away:
                raise Unavailable("no broker")
            super().seek(source, offset)

    reader = Away(run.broker)
    joiner = JoinerStage(
        reader, run.broker.writer(), run.view, clock=run.clock, topics=TOPICS, key=KEY, shares=FixedShares([0])
    )
    run.write((predictions(P("a")), 0))
    joiner.step(0.0)
    run.view.drop(0)
    run.write((predictions(P("b")), 0))
    joiner.step(0.0)
    reader.is_away = True
    with pytest.raises(Unavailable):
        joiner.step(0.0)
    reader.is_away = False
    joiner.step(0.0)
    assert run.view.load(0).position == 2
    assert run.view.find(0, request("a")) is not None
