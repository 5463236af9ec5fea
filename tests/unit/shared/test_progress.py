"""What probes are answered, by what the loop told."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from shared.adapters.memory import ManualClock
from shared.errors import Busy, Unavailable
from shared.flow import positions
from shared.log import TopicPartition
from shared.measures import Measure, number
from shared.progress import MAX_REASON_CHARS, SNAPSHOT_SECONDS, STALLED_SECONDS, Answer, Progress, State

NOW = 1_750_000_000_000


class Watched:
    """A progress on a clock that tests turn."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.progress = Progress(self.clock)

    def answers(self) -> tuple[Answer, Answer]:
        return self.progress.live(), self.progress.ready()

    def shown(self) -> dict[str, dict[tuple[str, ...], float]]:
        return {measure.name: dict(measure.samples) for measure in self.progress.measures()}


def test_a_process_that_starts_is_live_however_long_it_takes_and_not_ready() -> None:
    run = Watched()
    run.clock.sleep(10 * STALLED_SECONDS)

    assert run.answers() == (
        Answer(True, State.STARTING, "", 900.0),
        Answer(False, State.STARTING, "", 900.0),
    )


def test_a_step_makes_ready() -> None:
    run = Watched()
    run.clock.sleep(3.0)
    run.progress.turned()
    run.clock.sleep(1.5)

    assert run.answers() == (Answer(True, State.RUNNING, "", 1.5), Answer(True, State.RUNNING, "", 1.5))


def test_a_turn_without_work_keeps_alive_only() -> None:
    run = Watched()
    run.progress.turned(is_ready=False)

    assert run.progress.ready() == Answer(False, State.STARTING, "", 0.0)


def test_a_halted_log_is_live_and_not_ready_and_says_which_and_why() -> None:
    run = Watched()
    run.progress.turned(halted={TopicPartition("predictions", 0): "garbage", TopicPartition("predictions", 2): "more"})

    assert run.answers() == (
        Answer(True, State.HALTED, "garbage; more", 0.0),
        Answer(False, State.HALTED, "garbage; more", 0.0),
    )
    run.progress.turned()
    assert run.progress.ready().ok


def test_who_makes_its_state_anew_is_live_and_not_ready_since_that_began() -> None:
    run = Watched()
    run.progress.turned(rebuilding="the view: 1 of 9 records")
    run.clock.sleep(2.0)
    run.progress.turned(rebuilding="the view: 5 of 9 records")

    assert run.answers() == (
        Answer(True, State.REBUILDING, "the view: 5 of 9 records", 2.0),
        Answer(False, State.REBUILDING, "the view: 5 of 9 records", 2.0),
    )
    run.clock.sleep(STALLED_SECONDS + 1)
    assert run.progress.live().state is State.STALLED
    run.progress.turned()
    assert run.progress.ready() == Answer(True, State.RUNNING, "", 0.0)


def test_a_loop_with_a_halted_log_that_does_not_come_round_is_stalled() -> None:
    run = Watched()
    run.progress.turned(halted={TopicPartition("predictions", 0): "garbage"})
    run.clock.sleep(STALLED_SECONDS + 1)

    assert run.progress.live().state is State.STALLED


def test_a_wait_is_live_and_not_ready_and_lasts_while_its_reason_changes() -> None:
    run = Watched()
    run.progress.turned()
    for reason in ("no route", "refused"):
        run.progress.waits(Unavailable(reason))
        run.clock.sleep(15.0)

    assert run.answers() == (
        Answer(True, State.WAITING, "refused", 30.0),
        Answer(False, State.WAITING, "refused", 30.0),
    )


def test_a_wait_is_over_when_a_step_ends_well() -> None:
    run = Watched()
    run.progress.waits(Unavailable("redis"))
    run.progress.turned(is_ready=False)
    assert run.progress.ready().state is State.WAITING
    run.progress.turned()

    assert run.progress.ready() == Answer(True, State.RUNNING, "", 0.0)


@pytest.mark.parametrize("is_waiting", [False, True])
def test_a_loop_that_does_not_come_round_is_not_live(is_waiting: bool) -> None:
    run = Watched()
    run.progress.turned()
    if is_waiting:
        run.progress.waits(Unavailable("redis"))
    run.clock.sleep(STALLED_SECONDS)
    assert run.progress.live().ok
    run.clock.sleep(1.0)

    stalled = Answer(False, State.STALLED, "the loop does not come round", STALLED_SECONDS + 1)
    assert run.answers() == (stalled, stalled)


def test_who_stops_is_live_and_not_ready() -> None:
    run = Watched()
    run.progress.turned()
    run.progress.stops()
    run.progress.turned()
    run.clock.sleep(2 * STALLED_SECONDS)

    assert [answer.ok for answer in run.answers()] == [True, False]
    assert run.progress.live().state is State.STOPPING


def test_reasons_are_short() -> None:
    run = Watched()
    run.progress.waits(Unavailable("x" * 10_000))

    assert run.progress.ready().reason == "x" * MAX_REASON_CHARS


def test_the_loop_is_counted_from_zero_on() -> None:
    run = Watched()
    assert run.shown() == {
        "ready": {(): 0},
        "loop_turns_total": {(): 0},
        "loop_last_turn_timestamp_seconds": {},
        "step_errors_total": {("busy",): 0, ("unavailable",): 0},
    }

    run.clock.sleep(2.0)
    for error in (Busy("full"), Unavailable("away"), Busy("full")):
        run.progress.waits(error)
    run.progress.turned()

    assert run.shown() == {
        "ready": {(): 1},
        "loop_turns_total": {(): 4},
        "loop_last_turn_timestamp_seconds": {(): NOW / 1000 + 2},
        "step_errors_total": {("busy",): 2, ("unavailable",): 1},
    }


class OneLog:
    """A stage that reads one log, or says that it does."""

    def __init__(self, run: Watched) -> None:
        self._run = run
        self.lag, self.position = 0.0, 100.0
        run.progress.watch(self._measures)

    def _measures(self) -> Iterable[Measure]:
        source = TopicPartition("predictions", 3)
        return positions({source: int(self.position)}, {source: int(self.lag)})

    def turn(self, seconds: int, *, read: float = 0.0) -> Answer:
        for _ in range(seconds):
            self._run.clock.sleep(1.0)
            self.position += read
            self._run.progress.turned()
        return self._run.progress.ready()


def test_who_turns_and_reads_nothing_of_what_is_there_is_live_and_not_ready() -> None:
    run = Watched()
    log = OneLog(run)
    log.turn(10)
    log.lag = 7.0

    assert log.turn(int(STALLED_SECONDS)).ok
    reason = "predictions-3 holds records, and its position stands still"
    assert log.turn(5) == Answer(False, State.STANDING, reason, STALLED_SECONDS + 4)
    assert run.progress.live().ok
    assert log.turn(1, read=1.0).ok


def test_who_reads_as_fast_as_records_come_is_ready_whatever_the_lag() -> None:
    log = OneLog(Watched())
    log.lag = 1_000.0

    assert log.turn(3 * int(STALLED_SECONDS), read=1.0).ok


def test_who_stands_at_the_end_of_the_log_is_ready() -> None:
    assert OneLog(Watched()).turn(3 * int(STALLED_SECONDS)).ok


def test_the_stage_is_looked_at_once_a_second_and_never_by_who_scrapes() -> None:
    run = Watched()
    looks: list[float] = []

    def measures() -> list[Measure]:
        looks.append(run.clock.monotonic())
        return [number("rows", "Rows.", len(looks))]

    run.progress.watch(measures)
    run.shown()
    for _ in range(10):
        run.progress.turned()
        run.clock.sleep(SNAPSHOT_SECONDS / 4)
        run.shown()

    assert looks == [0.0, 1.0, 2.0]
    assert run.shown()["rows"] == {(): 3}


def test_a_snapshot_that_takes_long_is_taken_seldom() -> None:
    run = Watched()
    looks: list[float] = []

    def measures() -> list[Measure]:
        looks.append(run.clock.monotonic())
        run.clock.sleep(0.25)
        return []

    run.progress.watch(measures)
    for _ in range(60):
        run.progress.turned()
        run.clock.sleep(1.0)

    assert looks == [0.0, 25.25, 50.5]
