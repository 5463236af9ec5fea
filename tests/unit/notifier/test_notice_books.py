"""Where a notifier begins, where it goes on, and what it does while its store is away or another one is at work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from services.notifier.adapters.memory_books import MemoryBooks
from services.notifier.books import Change
from shared.errors import LogIdentity, Unavailable
from shared.events.alert import IncidentEvent, Severity
from shared.log import TopicPartition
from shared.runtime import drain
from tests.kit.notifying import HOUR, OPS, PARTITION, TOPICS, World, route

ESCALATED, RESOLVED = IncidentEvent.ESCALATED, IncidentEvent.RESOLVED


def test_a_first_start_tells_what_is_open_and_no_history() -> None:
    world = World(route("ops"))
    world.incident("over")
    world.incident("over", RESOLVED)
    world.incident("burning")
    world.incident("burning", ESCALATED, severity=Severity.CRITICAL, after_ms=HOUR)
    world.append(b"not an alert")
    world.books = MemoryBooks()

    world.run()

    assert world.receivers.told() == [("burning", "opened", 0)]
    assert b'"severity":"critical"' in world.receivers.sent[0].body
    assert [letter.reason for letter in world.dead_letters()] == ["json"]


def test_a_wiped_redis_costs_the_past_and_nothing_that_comes_after_it() -> None:
    world = World(route("ops"))
    world.incident("over")
    world.incident("over", RESOLVED)
    world.append(b"not an alert")
    world.incident("burning")
    world.run()
    position = world.end()
    world.incident("short")
    world.incident("short", RESOLVED)
    world.books = MemoryBooks()
    before = len(world.receivers.sent)

    drain([world.feed(position)])

    assert world.receivers.ids()[before] == world.receivers.ids()[1]
    assert world.receivers.told()[3:] == [("short", "opened", 0), ("short", "resolved", 0)]
    assert len(world.receivers.sent) == before + 3
    assert len(world.dead_letters()) == 1


def test_a_book_beyond_the_end_of_the_log_stops_the_notifier() -> None:
    world = World(route("ops"))
    world.incident("i1")
    world.run()
    world.broker.truncate(TopicPartition(TOPICS.alerts, PARTITION), 1)

    with pytest.raises(LogIdentity, match=f"alerts-{PARTITION} ends at 1, but the notifier's book is at 2"):
        world.run()


class Absent(MemoryBooks):
    """Books whose store is away at one of their changes, which may have been made, and its answer lost."""

    def __init__(self, *, at: int, is_made: bool) -> None:
        super().__init__()
        self._left = at
        self._is_made = is_made

    def advance(self, partition: int, before: bytes | None, change: Change) -> bool:
        self._left -= 1
        if self._left == 0:
            if self._is_made:
                super().advance(partition, before, change)
            raise Unavailable("Redis: gone")
        return super().advance(partition, before, change)


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("is_made", [True, False], ids=["the answer was lost", "it was not reached"])
def test_a_store_that_is_away_for_a_moment_costs_no_notice_and_repeats_none(at: int, is_made: bool) -> None:
    world = World(route("ops", "log"))
    world.books = Absent(at=at, is_made=is_made)
    stage = world.stage()
    stage.assigned(frozenset([PARTITION]))
    records = [world.heartbeat(), world.incident("i1"), world.incident("i1", RESOLVED)]
    away = 0

    def patiently(call: Callable[[], object]) -> None:
        nonlocal away
        while True:
            try:
                call()
            except Unavailable:
                away += 1
            else:
                return

    for record in records:
        patiently(partial(stage.handle, record))
        for _ in range(3):
            patiently(stage.tick)

    assert away == 1
    assert world.receivers.told() == [("i1", "opened", 0), ("i1", "resolved", 0)]
    assert len(world.receivers.sent) == 2
    assert world.heard_events() == [("i1", "opened", 0), ("i1", "resolved", 0)]
    assert [outcome.fate.value for outcome in world.outcomes()] == ["delivered"] * 4


def test_of_two_processes_on_one_partition_one_loses_and_reads_the_book_again() -> None:
    world = World(route("ops"))
    zombie, owner = world.stage(), world.stage()
    for stage in (zombie, owner):
        stage.assigned(frozenset([PARTITION]))
        stage.tick()
    first = world.incident("i1")
    owner.handle(first)
    second = world.incident("i2")

    zombie.handle(first)
    zombie.handle(second)
    owner.handle(second)
    owner.tick()
    owner.tick()

    assert world.receivers.told() == [("i1", "opened", 0), ("i2", "opened", 0)]
    assert len(world.receivers.sent) == 2


def test_answers_that_are_under_way_at_the_end_are_waited_for() -> None:
    world = World(route("ops"))
    stage = world.stage()
    stage.assigned(frozenset([PARTITION]))
    stage.handle(world.incident("i1"))
    stage.tick()
    assert world.outcomes() == []

    stage.close()
    stage.close()

    assert [(o.channel, o.about, o.fate.value) for o in world.outcomes()] == [("ops", "i1", "delivered")]


def test_a_receiver_that_hangs_does_not_hold_up_the_end() -> None:
    world = World(route("ops"))
    world.receivers.answers[OPS] = lambda _: None
    stage = world.stage()
    stage.assigned(frozenset([PARTITION]))
    stage.handle(world.incident("i1"))
    stage.tick()

    stage.close()

    assert world.outcomes() == []


def test_a_partition_that_is_not_ours_changes_nothing() -> None:
    world = World(route("ops"))
    stage = world.stage()
    stage.assigned(frozenset([1 - PARTITION]))

    stage.handle(world.incident("i1"))

    assert stage.tick() is False
    assert world.receivers.sent == []
