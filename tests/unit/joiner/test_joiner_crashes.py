"""The joiner may die, race and lose its view: who reads the observations sees the uninterrupted run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from services.joiner.adapters.memory_view import MemoryView
from services.joiner.view import Change, Reading, Snapshot
from shared.errors import Unavailable
from shared.events.block import BlockKind, decode
from shared.failpoints import Died
from tests.kit.joining import TOPICS, Installation

PLACES = ["joiner.after_poll", "joiner.after_read", "joiner.emit", "joiner.before_cas", "joiner.after_cas"]


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
    assert joiner.account.restarts == 2
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
    assert joiner.account.restarts == 1
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
    assert slow.account.restarts > 3
    assert fast.account.restarts > 0
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


def test_a_view_that_is_not_intact_is_rebuilt(uninterrupted: Installation) -> None:
    class Evicted(MemoryView):
        is_evicted = False

        def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
            return None if self.is_evicted else super().read(shard, position, ids)

        def load(self, shard: int) -> Snapshot:
            return replace(super().load(shard), intact=not self.is_evicted)

        def drop(self, shard: int, *, aloud: bool = False) -> None:
            self.is_evicted = False
            super().drop(shard, aloud=aloud)

    run = Installation()
    run.view = view = Evicted()
    joiner = run.joiner()

    def step(number: int) -> None:
        view.is_evicted = number == 9
        for _ in range(3):
            joiner.step(0.0)

    run.drive(step)
    assert run.accepted() == uninterrupted.accepted()
