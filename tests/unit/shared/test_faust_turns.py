"""What probes are told of a stage that Faust hosts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import pytest

from shared.adapters.faust import _Host
from shared.adapters.memory import ManualClock
from shared.errors import Unavailable
from shared.log import Record
from shared.measures import Measure, number
from shared.progress import Progress, State
from tests.kit.measuring import shown

RECORD = Record("alerts", 1, 41, 1_750_000_000_000, None, b"x")


class Stage:
    """A stage whose dependency may be away."""

    name, topic = "stage", "alerts"
    is_away = False

    def assigned(self, partitions: frozenset[int]) -> None:
        """Nothing is remembered."""

    def handle(self, record: Record) -> None:
        if self.is_away:
            raise Unavailable(f"no place for {record.offset}")

    def tick(self) -> bool:
        return False

    def measures(self) -> Iterable[Measure]:
        return [number("away", "Whether it is away.", self.is_away)]

    def close(self) -> None:
        """Nothing is open."""


class Hosted:
    """A host of such a stage, without Faust."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.progress = Progress(ManualClock())
        self.host = _Host(self.stage, cast("Any", None), self.progress)
        self.tick = self.stage.tick
        self.handle = partial(self.host._handle, RECORD)

    def assign(self) -> None:
        self.host._turn(partial(self.host._take_over, frozenset()))

    @property
    def state(self) -> State:
        return self.progress.ready().state


def test_ready_is_who_was_given_partitions_even_none() -> None:
    hosted = Hosted()
    hosted.host._turn(hosted.tick)
    before = hosted.state
    hosted.assign()

    assert (before, hosted.state) == (State.STARTING, State.RUNNING)


def test_a_record_that_waits_keeps_the_process_waiting_whatever_else_goes_well() -> None:
    hosted = Hosted()
    hosted.assign()
    hosted.stage.is_away = True
    with pytest.raises(Unavailable):
        hosted.host._turn(hosted.handle)
    hosted.host._turn(hosted.tick)
    waiting = hosted.progress.ready()
    hosted.stage.is_away = False
    hosted.host._turn(hosted.handle)

    assert (waiting.state, waiting.reason) == (State.WAITING, "no place for 41")
    assert hosted.state is State.RUNNING


def test_the_host_counts_what_is_handled() -> None:
    hosted = Hosted()
    hosted.host._turn(hosted.handle)

    assert shown(hosted.host._measures()) == {
        "records_in_total": 1,
        "last_record_timestamp_seconds": 1_750_000_000,
        "position": {("alerts", "1"): 42},
        "away": False,
    }
