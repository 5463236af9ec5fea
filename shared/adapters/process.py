"""One service as a process: signals, failpoints, and the frame around every `__main__`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import FrameType

import structlog

from shared.adapters.access import await_access
from shared.adapters.credentials import surroundings
from shared.adapters.health import serving_health
from shared.adapters.stalls import telling_stalls
from shared.adapters.system_clock import SystemClock
from shared.errors import DriftlineError
from shared.failpoints import Action, Failpoints, Unforeseen
from shared.progress import Progress
from shared.runtime import exit_code, run
from shared.settings import Settings
from shared.stage import Stage
from shared.telemetry import configure_logging

YOUNG_OBJECTS = 50_000  # new since the last look for cycles: more than all rows of a poll

Wire = Callable[[Settings, Failpoints, ExitStack], Stage]


class StopSignal:
    """True once SIGTERM or SIGINT arrived; a second one ends the process at once."""

    def __init__(self) -> None:
        self._heard = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def __call__(self) -> bool:
        """Return whether the process is to stop."""
        return self._heard

    def _hear(self, number: int, _: FrameType | None) -> None:
        self._heard = True
        signal.signal(number, signal.SIG_DFL)


def fail(action: Action, place: str) -> None:
    """Do to this process what a failpoint says, after naming it on stderr."""
    told = {Action.EXIT: "killed", Action.STOP: "stopped", Action.RAISE: "raises"}
    os.write(sys.stderr.fileno(), f"failpoint {place}: {told[action]}\n".encode())
    match action:
        case Action.EXIT:
            os.kill(os.getpid(), signal.SIGKILL)
        case Action.STOP:
            os.kill(os.getpid(), signal.SIGSTOP)
        case Action.RAISE:
            raise Unforeseen(place)


@contextmanager
def collect_rarely() -> Iterator[None]:
    """Look for garbage cycles less often than Python does by default, and not among what is there already.

    Rows live for about a block and then go by their reference counts; looking through them finds nothing, and takes
    the ingest services a tenth of their time.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def serve(service: str, environ: Mapping[str, str], wire: Wire) -> int:
    """Run one service until it is told to stop; return the exit code (`shared.runtime.ExitCode`).

    `wire` opens what the stage needs, leaves the undoing on its stack, and returns the stage. Health is served before,
    so that a slow start is seen as one.
    """
    should_stop = StopSignal()
    configure_logging(service, "info", sys.stdout)
    log = structlog.get_logger("driftline.process")
    try:
        with ExitStack() as undo:
            settings = surroundings(environ)
            configure_logging(service, settings.log_level, sys.stdout)
            clock = SystemClock()
            progress = Progress(clock)
            host, port = undo.enter_context(serving_health(service, settings, progress))
            undo.enter_context(telling_stalls(progress))
            log.info("serving_health", host=host, port=port)
            await_access(service, settings, clock=clock, should_stop=should_stop, progress=progress)
            stage = wire(settings, Failpoints(settings.fail, fail), undo)
            undo.enter_context(collect_rarely())
            log.info("started", installation=settings.installation, pid=os.getpid())
            code = run(stage, clock=clock, should_stop=should_stop, progress=progress)
    except DriftlineError as exc:
        log.critical("failed", reason=type(exc).__name__, error=str(exc))
        return exit_code(exc)
    log.info("ended", reason=code.name.lower())
    return code
