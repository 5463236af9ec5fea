"""What the runtime does about each error, and how it stops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from shared.adapters.memory import ManualClock
from shared.errors import (
    Busy,
    ConfigurationError,
    Corrupt,
    LogIdentity,
    LogTime,
    Malformed,
    Unavailable,
    Undelivered,
)
from shared.log import TopicPartition
from shared.measures import Measure, number
from shared.progress import Progress
from shared.runtime import ExitCode, drain, run

FATAL = [
    (Undelivered("no acknowledgement"), ExitCode.START_OVER),
    (Corrupt("checksum differs"), ExitCode.CORRUPT),
    (LogIdentity("recreated"), ExitCode.LOG_IDENTITY),
    (LogTime("ahead"), ExitCode.LOG_TIME),
    (ConfigurationError("topic alerts", "does not exist"), ExitCode.CONFIGURATION),
    (Malformed("ts"), ExitCode.BUG),
    (ZeroDivisionError("a mistake"), ExitCode.BUG),
]


class Script:
    """A stage whose steps are written down; it asks to stop when they are over."""

    name = "script"

    def __init__(self, *steps: bool | Exception, on_close: Exception | None = None) -> None:
        self._steps = list(steps)
        self._on_close = on_close
        self.closed = 0
        self.halts: dict[TopicPartition, str] = {}
        self.rebuilds = ""

    def step(self, timeout: float) -> bool:  # noqa: ARG002 - the port's signature
        does = self._steps.pop(0) if self._steps else False
        if isinstance(does, Exception):
            raise does
        return does

    def measures(self) -> Iterable[Measure]:
        return [number("steps_left", "Steps.", len(self._steps))]

    def halted(self) -> Mapping[TopicPartition, str]:
        return self.halts

    def rebuilding(self) -> str:
        return self.rebuilds

    def close(self) -> None:
        self.closed += 1
        if self._on_close is not None:
            raise self._on_close

    def is_over(self) -> bool:
        return not self._steps


def ran(stage: Script, should_stop: Callable[[], bool], clock: ManualClock | None = None) -> ExitCode:
    clock = clock or ManualClock()
    return run(stage, clock=clock, should_stop=should_stop, progress=Progress(clock))


def waits(steps: Sequence[bool | Exception]) -> list[float]:
    """Run the steps and return how long the runtime waited after each."""
    stage = Script(*steps)
    with capture_logs() as lines:
        ran(stage, stage.is_over)
    return [line["seconds"] for line in lines if line["event"] == "waiting"]


def test_a_stage_that_is_told_to_stop_is_closed_and_ends_well() -> None:
    stage = Script(True, False, True)

    code = ran(stage, stage.is_over)

    assert code == ExitCode.STOPPED
    assert stage.closed == 1


@pytest.mark.parametrize(("error", "code"), FATAL, ids=lambda value: type(value).__name__)
def test_an_error_that_ends_the_process_tells_the_supervisor_why(error: Exception, code: ExitCode) -> None:
    stage = Script(True, error, True)

    with capture_logs() as lines:
        ended = ran(stage, lambda: False)

    assert ended == code
    assert stage.closed == 1
    assert [line["log_level"] for line in lines] == ["critical"]


def test_the_step_is_tried_again_when_a_dependency_is_away() -> None:
    stage = Script(Unavailable("redis"), Unavailable("redis"), True)

    with capture_logs():
        code = ran(stage, stage.is_over)

    assert code == ExitCode.STOPPED


def test_waits_double_up_to_a_quarter_of_a_minute() -> None:
    assert waits([Unavailable("redis")] * 6 + [True]) == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


def test_a_step_that_succeeds_resets_the_wait() -> None:
    assert waits([Unavailable("a"), Unavailable("a"), False, Unavailable("a"), True]) == [1.0, 2.0, 1.0]


def test_the_other_side_may_ask_for_a_longer_wait() -> None:
    assert waits([Unavailable("a", retry_after=5.0), Unavailable("a"), True]) == [5.0, 10.0]


def test_a_busy_stage_is_asked_again_soon_however_often() -> None:
    assert waits([Busy("queue")] * 3 + [True]) == [0.25, 0.25, 0.25]


def test_a_stop_is_noticed_during_a_wait() -> None:
    clock = ManualClock()

    def after_three_seconds() -> bool:
        return clock.monotonic() >= 3.0

    with capture_logs():
        code = ran(Script(Unavailable("a", retry_after=15.0)), after_three_seconds, clock)

    assert code == ExitCode.STOPPED
    assert clock.monotonic() == 3.0


@pytest.mark.parametrize(
    ("steps", "code"),
    [([True], ExitCode.START_OVER), ([Corrupt("first"), True], ExitCode.CORRUPT)],
    ids=["after a good run", "after another error"],
)
def test_a_close_that_fails_is_told_unless_something_was_wrong_before(
    steps: list[bool | Exception], code: ExitCode
) -> None:
    stage = Script(*steps, on_close=Undelivered("the last block"))

    with capture_logs():
        assert ran(stage, stage.is_over) == code


def test_probes_are_told_of_steps_of_waits_and_of_the_end() -> None:
    clock = ManualClock()
    progress = Progress(clock)
    seen: list[tuple[str, str]] = []
    stage = Script(True, Unavailable("redis"), Busy("queue"), True)

    def look() -> bool:
        answer = progress.ready()
        seen.append((answer.state.value, answer.reason))
        return stage.is_over()

    with capture_logs():
        run(stage, clock=clock, should_stop=look, progress=progress)

    assert list(dict.fromkeys(seen)) == [("starting", ""), ("running", ""), ("waiting", "redis"), ("waiting", "queue")]
    assert progress.live().state == "stopping"
    assert not progress.ready().ok


def readiness(stage: Script) -> list[tuple[bool, str, str]]:
    """Return what a probe is told before each step: whether it is ready, its state, and why."""
    clock = ManualClock()
    progress = Progress(clock)
    seen: list[tuple[bool, str, str]] = []

    def look() -> bool:
        answer = progress.ready()
        seen.append((answer.ok, answer.state.value, answer.reason))
        return stage.is_over()

    run(stage, clock=clock, should_stop=look, progress=progress)
    return seen


def test_probes_are_told_of_logs_that_are_halted() -> None:
    stage = Script(True)
    stage.halts = {TopicPartition("predictions", 3): "garbage"}

    assert readiness(stage) == [(False, "starting", ""), (False, "halted", "garbage")]


def test_probes_are_told_of_state_that_is_made_anew() -> None:
    stage = Script(True)
    stage.rebuilds = "the view: 3 of 7 records"

    assert readiness(stage) == [(False, "starting", ""), (False, "rebuilding", "the view: 3 of 7 records")]


def test_drain_goes_on_until_all_are_idle_and_counts_what_was_done() -> None:
    first, second = Script(True, False, True, False), Script(False, True)

    assert drain([first, second]) == 3
    assert first.is_over()
    assert second.is_over()


def test_drain_refuses_to_run_for_ever() -> None:
    with pytest.raises(RuntimeError, match="not idle after 10 rounds: script"):
        drain([Script(*[True] * 100)], max_rounds=10)


def test_errors_pass_through_drain() -> None:
    with pytest.raises(LogIdentity, match="gone"):
        drain([Script(LogIdentity("gone"))])
