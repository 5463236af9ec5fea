"""The joiner may die, race and lose its view: who reads the observations sees the uninterrupted run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from services.joiner.adapters.memory_view import MemoryView
from services.joiner.meta import Counters, summary
from services.joiner.stage import JoinerStage, shards_of
from services.joiner.view import Change, Reading, Snapshot, View
from shared.adapters.memory import ManualClock, MemoryBroker, MemoryReader
from shared.errors import ConfigurationError, LogIdentity, Unavailable
from shared.events.block import BlockKind, decode
from shared.failpoints import Died, Failpoints
from shared.log import Headers, TopicPartition
from shared.topics import Topics
from tests.kit.halves import HORIZON, HOUR, KEY, MODEL, Half, L, P, labels, outgoing, predictions, request, tick

TOPICS = Topics(halves_partitions=2, observations_partitions=2)
PLACES = ["joiner.after_read", "joiner.emit", "joiner.before_cas", "joiner.after_cas"]


def halves() -> list[Half]:
    """Return a log with everything in it: late and early labels, corrections, repeats, versions, expiry, ticks."""
    log: list[Half] = []
    for n in range(24):
        now = n * HOUR
        model = f"m{n % 3}"
        log += [
            (predictions(P(f"{n}"), P(f"{n + 1}"), model=model), now),
            (labels(L(f"{n}", "yes"), L(f"{n - 3}", "no"), L(f"{n + 6}"), model=model), now),
            (predictions(P(f"{n}"), version="v2", model=model), now),
            (labels(L(f"{n}", "no", ts=101, offset=n), model=model), now),
            (tick(), now),
        ]
    return log


class Installation:
    """One broker, one view, and what came out."""

    def __init__(self) -> None:
        self.broker = MemoryBroker(ManualClock())
        self.broker.create(*TOPICS.specs())
        self.view = MemoryView()

    def joiner(self, *, view: View | None = None, fail: str = "", shards: Sequence[int] = (0, 1)) -> JoinerStage:
        return JoinerStage(
            self.broker.reader(),
            self.broker.writer(),
            view or self.view,
            topics=TOPICS,
            key=KEY,
            shards=shards,
            failpoints=Failpoints(fail),
        )

    def write(self, half: Half, shard: int = 0) -> None:
        block, log_time = half
        self.broker.append(outgoing(block, TOPICS.halves, shard, log_time))

    def drive(self, step: Callable[[int], object]) -> None:
        """Write the log to both shards a few records at a time, and step after each."""
        log = halves()
        for at in range(0, len(log), 4):
            for half in log[at : at + 4]:
                self.write(half, 0)
                self.write(half, 1)
            step(at // 4)

    def accepted(self) -> list[tuple[int, bytes | None, Headers]]:
        """Return what a receiver takes: each shard's outputs in order, repeats dropped, no gap."""
        last: dict[tuple[int, int], int] = {}
        taken = []
        for record in self.broker.records(TOPICS.observations):
            place = decode(record).chain
            assert place is not None
            source = (record.partition, place.shard)
            if place.seq > last.get(source, -1):
                assert place.prev == last.get(source, -1), "an observation is missing"
                last[source] = place.seq
                taken.append((record.partition, record.value, record.headers))
        return sorted(taken, key=lambda row: (row[0], dict(row[2])["shard"]))

    def counters(self, shard: int = 0) -> dict[str, Counters]:
        return summary(self.view.load(shard).meta)


@pytest.fixture(scope="module")
def uninterrupted() -> Installation:
    run = Installation()
    joiner = run.joiner()
    run.drive(lambda _: joiner.step(0.0))
    return run


def assert_same(run: Installation, uninterrupted: Installation) -> None:
    assert run.accepted() == uninterrupted.accepted()
    for shard in (0, 1):
        assert run.view.load(shard) == uninterrupted.view.load(shard)


def test_the_uninterrupted_run_has_everything_in_it(uninterrupted: Installation) -> None:
    kinds = {decode(record).kind for record in uninterrupted.broker.records(TOPICS.observations)}
    assert kinds == {BlockKind.SERVED, BlockKind.LABELLED, BlockKind.CORRECTED, BlockKind.TICK}
    total = list(uninterrupted.counters().values())
    assert min(sum(getattr(count, name) for count in total) for name in ("unmatched_label", "corrections")) > 0


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", [1, 2, 7, 12])
def test_a_joiner_that_dies_anywhere_costs_nothing(place: str, number: int, uninterrupted: Installation) -> None:
    run = Installation()
    joiners = [run.joiner(fail=f"{place}:exit@{number}")]
    deaths = 0

    def step(_: int) -> None:
        nonlocal deaths
        try:
            joiners[-1].step(0.0)
        except Died:
            deaths += 1
            joiners.append(run.joiner())
            joiners[-1].step(0.0)

    run.drive(step)
    assert deaths == 1
    assert_same(run, uninterrupted)


class LostReply(MemoryView):
    """Every third compare-and-set is made, or not made, and its answer is lost."""

    def __init__(self, *, is_made: bool) -> None:
        super().__init__()
        self.is_made = is_made
        self.calls = 0

    def advance(self, shard: int, position: int | None, change: Change) -> bool:
        self.calls += 1
        if self.calls % 3:
            return super().advance(shard, position, change)
        if self.is_made:
            super().advance(shard, position, change)
        raise Unavailable("reply lost")


@pytest.mark.parametrize("is_made", [True, False])
def test_a_lost_reply_is_answered_by_starting_over(is_made: bool, uninterrupted: Installation) -> None:
    run = Installation()
    run.view = LostReply(is_made=is_made)
    joiner = run.joiner()
    lost = 0

    def step(_: int) -> None:
        nonlocal lost
        for _ in range(5):
            try:
                joiner.step(0.0)
            except Unavailable:
                lost += 1

    run.drive(step)
    assert lost > 5
    assert_same(run, uninterrupted)


@pytest.mark.parametrize("lag", [1, 5, 20])
def test_a_view_that_goes_back_in_time_is_folded_forward_again(lag: int, uninterrupted: Installation) -> None:
    run = Installation()
    joiner = run.joiner()
    older: list[MemoryView] = []

    def step(number: int) -> None:
        older.append(copy.deepcopy(run.view))
        if number == 22:
            run.view._shards = older[number - lag]._shards
        joiner.step(0.0)
        joiner.step(0.0)

    run.drive(step)
    assert joiner.restarts == 2
    assert_same(run, uninterrupted)


def test_a_wiped_view_is_rebuilt_from_the_log(uninterrupted: Installation) -> None:
    run = Installation()
    joiner = run.joiner()

    def step(number: int) -> None:
        if number == 15:
            run.view.drop(0)
        joiner.step(0.0)
        joiner.step(0.0)

    run.drive(step)
    assert joiner.restarts == 1
    assert_same(run, uninterrupted)


class Overtaken(MemoryView):
    """Before every compare-and-set of one joiner, somebody else does something."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] | None = None

    def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
        reading = super().read(shard, position, ids)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return reading


def test_two_joiners_of_the_same_shards_only_waste_work(uninterrupted: Installation) -> None:
    run = Installation()
    run.view = view = Overtaken()
    slow, fast = run.joiner(), run.joiner()

    def step(number: int) -> None:
        if number % 3 == 0:
            view.meanwhile = lambda: fast.step(0.0)
        slow.step(0.0)
        slow.step(0.0)

    run.drive(step)
    assert slow.restarts > 3
    assert fast.restarts > 0
    assert len(run.broker.records(TOPICS.observations)) > len(uninterrupted.broker.records(TOPICS.observations))
    assert_same(run, uninterrupted)


class Unchecked(Overtaken):
    """What the joiner must not run on: a read that does not say that the view has moved."""

    def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
        del position
        return super().read(shard, self.load(shard).position, ids)


def test_a_read_that_does_not_check_the_position_would_be_noticed(uninterrupted: Installation) -> None:
    run = Installation()
    run.view = Unchecked()
    slow, fast = run.joiner(), run.joiner()

    def step(number: int) -> None:
        (slow if number % 2 else fast).step(0.0)

    run.drive(step)
    with pytest.raises(AssertionError):
        assert_same(run, uninterrupted)


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
    joiner = run.joiner(shards=shards_of(1, 2, TOPICS.halves_partitions))
    joiner.step(0.0)
    assert run.view.load(0).position is None
    assert run.view.load(1).position == 1


def test_shards_are_dealt_out_in_turn() -> None:
    assert [shards_of(i, 3, 8) for i in range(3)] == [[0, 3, 6], [1, 4, 7], [2, 5]]


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


def stored(run: Installation, *, count: int = 3) -> None:
    """Fold a few records with a joiner that then goes away."""
    for n in range(count):
        run.write((predictions(P(f"{n}")), 0))
    run.joiner().step(0.0)


def test_a_truncated_log_stops_the_joiner() -> None:
    run = Installation()
    stored(run)
    run.broker.truncate(TopicPartition(TOPICS.halves, 0), 1)
    with pytest.raises(LogIdentity, match=r"the view is at 3, the log is \[0, 1\]"):
        run.joiner().step(0.0)


def test_a_log_trimmed_above_the_position_stops_the_joiner() -> None:
    run = Installation()
    stored(run)
    for n in range(3):
        run.write((predictions(P(f"new {n}")), 0))
    run.broker.delete_records(TopicPartition(TOPICS.halves, 0), 4)
    with pytest.raises(LogIdentity, match=r"the view is at 3, the log is \[4, 6\]"):
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
    with pytest.raises(LogIdentity, match="is not the record that the view was made from"):
        run.joiner().step(0.0)


def test_another_count_of_observation_partitions_refuses_to_start() -> None:
    run = Installation()
    topics = replace(TOPICS, observations_partitions=3)
    joiner = JoinerStage(run.broker.reader(), run.broker.writer(), run.view, topics=topics, key=KEY, shards=[0])
    with pytest.raises(ConfigurationError, match="has 2 partitions, expected 3"):
        joiner.step(0.0)


def test_a_view_that_is_not_intact_is_rebuilt(uninterrupted: Installation) -> None:
    class Evicted(MemoryView):
        is_evicted = False

        def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
            return None if self.is_evicted else super().read(shard, position, ids)

        def load(self, shard: int) -> Snapshot:
            return replace(super().load(shard), intact=not self.is_evicted)

        def drop(self, shard: int) -> None:
            self.is_evicted = False
            super().drop(shard)

    run = Installation()
    run.view = view = Evicted()
    joiner = run.joiner()

    def step(number: int) -> None:
        view.is_evicted = number == 9
        for _ in range(3):
            joiner.step(0.0)

    run.drive(step)
    assert run.accepted() == uninterrupted.accepted()


def test_a_log_that_goes_away_while_seeking_is_waited_for() -> None:
    run = Installation()

    class Away(MemoryReader):
        is_away = False

        def seek(self, source: TopicPartition, offset: int) -> None:
            if self.is_away:
                raise Unavailable("no broker")
            super().seek(source, offset)

    reader = Away(run.broker)
    joiner = JoinerStage(reader, run.broker.writer(), run.view, topics=TOPICS, key=KEY, shards=[0])
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
