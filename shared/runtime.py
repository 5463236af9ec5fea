"""Runs a stage: step, back off, stop. What an error means for the process is decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum

import structlog

from shared.clock import Clock
from shared.errors import (
    Busy,
    ConfigurationError,
    Corrupt,
    DriftlineError,
    LogIdentity,
    LogTime,
    Newer,
    Unavailable,
    Undelivered,
)
from shared.progress import Progress
from shared.stage import Stage

STEP_SECONDS = 0.5  # how long a step may wait for records; bounds how late a stop is noticed
BUSY_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 15.0

log = structlog.get_logger("driftline.runtime")


class ExitCode(IntEnum):
    """Why a process ended; numbers as in sysexits.h."""

    STOPPED = 0  # it was asked to
    CORRUPT = 65  # our own bytes do not read: do not start again before someone has looked
    LOG_IDENTITY = 66  # the log is not the one the state came from: as above
    BUG = 70  # our mistake: starting again may help
    LOG_TIME = 71  # a log's clock leaps ahead: do not start again before someone has looked
    START_OVER = 75  # start again from the stored position
    NEWER = 76  # our own bytes are of a later release: start that one
    CONFIGURATION = 78  # a mistake in driftline.yaml or the environment, or a topic that does not exist


# After these nobody starts a process again before someone has looked.
FINAL = frozenset({ExitCode.CORRUPT, ExitCode.LOG_IDENTITY, ExitCode.LOG_TIME, ExitCode.NEWER, ExitCode.CONFIGURATION})


def exit_code(error: Exception) -> ExitCode:
    """Return what the process that met `error` tells its supervisor."""
    match error:
        case Corrupt():
            return ExitCode.CORRUPT
        case LogIdentity():
            return ExitCode.LOG_IDENTITY
        case LogTime():
            return ExitCode.LOG_TIME
        case Newer():
            return ExitCode.NEWER
        case ConfigurationError():
            return ExitCode.CONFIGURATION
        case Unavailable():
            return ExitCode.START_OVER
        case _:
            return ExitCode.BUG


def run(stage: Stage, *, clock: Clock, should_stop: Callable[[], bool], progress: Progress) -> ExitCode:
    """Step `stage` until it is to stop or cannot go on, close it, and say why it ended.

    A stage that is busy is stepped again soon, one that finds a dependency away after a wait that doubles up to
    `LONGEST_WAIT_SECONDS`; it keeps its record meanwhile. Everything else ends the process. `progress` is told of each.
    """
    progress.watch(stage.measures)
    code = _loop(stage, clock, should_stop, progress)
    progress.stops()
    try:
        stage.close()
    except DriftlineError as exc:
        log.critical("close failed", stage=stage.name, error=str(exc))
        return code or exit_code(exc)
    return code


def _loop(stage: Stage, clock: Clock, should_stop: Callable[[], bool], progress: Progress) -> ExitCode:
    wait = 0.0
    while not should_stop():
        try:
            stage.step(STEP_SECONDS)
            progress.turned(halted=stage.halted(), rebuilding=stage.rebuilding())
            wait = 0.0
        except Undelivered as exc:
            log.critical("start over", stage=stage.name, error=str(exc))
            return ExitCode.START_OVER
        except (Busy, Unavailable) as exc:
            wait = next_wait(wait, exc)
            log.warning("waiting", stage=stage.name, error=str(exc), seconds=wait)
            progress.waits(exc)
            pause(wait, clock, should_stop)
        except (Corrupt, Newer, LogIdentity, LogTime, ConfigurationError) as exc:
            log.critical("stopped", stage=stage.name, reason=type(exc).__name__, error=str(exc))
            return exit_code(exc)
        except Exception:  # the last line: a bug is logged with its trace and ends the process
            log.critical("bug", stage=stage.name, exc_info=True)
            return ExitCode.BUG
    return ExitCode.STOPPED


def next_wait(last: float, error: Busy | Unavailable) -> float:
    """Return how long to wait after `error`, in seconds, where the wait before it was `last`."""
    if isinstance(error, Busy):
        return BUSY_SECONDS
    return min(max(2 * last, error.retry_after), LONGEST_WAIT_SECONDS)


def pause(seconds: float, clock: Clock, should_stop: Callable[[], bool]) -> None:
    """Wait, but hardly longer than until `should_stop`."""
    until = clock.monotonic() + seconds
    while (left := until - clock.monotonic()) > 0 and not should_stop():
        clock.sleep(min(left, STEP_SECONDS))


def drain(stages: Sequence[Stage], *, until_idle_rounds: int = 2, max_rounds: int = 1_000_000) -> int:
    """Step stages on memory adapters in turn until all are idle for some rounds; return how many steps did something.

    Raises:
        RuntimeError: still not idle after `max_rounds`.
    """
    done = idle = 0
    for _ in range(max_rounds):
        worked = sum(stage.step(0.0) for stage in stages)
        done += worked
        idle = 0 if worked else idle + 1
        if idle == until_idle_rounds:
            return done
    raise RuntimeError(f"not idle after {max_rounds} rounds: {', '.join(stage.name for stage in stages)}")
