"""Says once where a loop stands that does not come round: the stacks of all threads, in the log."""

from __future__ import annotations

import faulthandler
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from shared.progress import STALLED_SECONDS, Progress

LOG = structlog.get_logger("driftline.stalls")
LOOK_SECONDS = 5.0
TELL_SECONDS = STALLED_SECONDS / 2  # before the supervisor ends the process, and with it what there is to see


class Stalls:
    """Knows of which stall the log has told."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._is_told = False

    def look(self) -> None:
        """Tell of a stall, unless that is done; the next one is another."""
        idle = self._progress.idle_seconds
        if idle > TELL_SECONDS and not self._is_told:
            LOG.critical("stalled", seconds=round(idle, 1), stacks=stacks())
        self._is_told = idle > TELL_SECONDS


def stacks() -> str:
    """Return where every thread of this process is: files, lines and functions, no values."""
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read().decode(errors="replace")


@contextmanager
def telling_stalls(progress: Progress) -> Iterator[None]:
    """Look now and then, on a thread of its own, while the block runs."""
    stalls, is_over = Stalls(progress), threading.Event()

    def watch() -> None:
        while not is_over.wait(LOOK_SECONDS):
            stalls.look()

    thread = threading.Thread(target=watch, name="stalls", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
