"""What the log says of a loop that does not come round."""

from __future__ import annotations

from structlog.testing import capture_logs

from shared.adapters.memory import ManualClock
from shared.adapters.stalls import TELL_SECONDS, Stalls, stacks, telling_stalls
from shared.progress import STALLED_SECONDS, Progress


def test_a_stall_is_told_once_before_the_process_is_ended_and_the_next_one_again() -> None:
    clock = ManualClock()
    progress = Progress(clock)
    stalls = Stalls(progress)
    told: list[list[float]] = []

    for _ in range(2):
        progress.turned()
        with capture_logs() as lines:
            for _ in range(int(STALLED_SECONDS)):
                clock.sleep(1.0)
                stalls.look()
        told.append([line["seconds"] for line in lines if line["event"] == "stalled"])
        progress.turned()
        stalls.look()

    assert told == [[TELL_SECONDS + 1]] * 2
    assert TELL_SECONDS < STALLED_SECONDS


def test_a_loop_that_comes_round_and_a_start_that_takes_long_are_no_stall() -> None:
    clock = ManualClock()
    progress = Progress(clock)
    stalls = Stalls(progress)

    with capture_logs() as lines:
        clock.sleep(10 * STALLED_SECONDS)
        stalls.look()
        for _ in range(10):
            progress.turned()
            clock.sleep(TELL_SECONDS)
            stalls.look()

    assert lines == []


def test_stacks_name_the_function_that_is_running() -> None:
    assert "test_stacks_name_the_function_that_is_running" in stacks()


def test_the_thread_that_looks_ends_with_its_block() -> None:
    with telling_stalls(Progress(ManualClock())):
        assert "in watch" in stacks()

    assert "in watch" not in stacks()
