"""Services as child processes: all or none.

A child's stdin is a pipe that only its supervisor holds: when the supervisor is gone, however it went, the pipe ends
and the child stops (`stop_with_parent`). Every child leads its own process group, so that a Ctrl-C reaches them through
us, once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import FrameType

from shared.runtime import FINAL

GRACE_SECONDS = 20.0
WATCH_SECONDS = 0.2
BETWEEN_STARTS_SECONDS = 2.0

Line = Callable[[str, str], None]  # name of the service, one line of its output


@dataclass(frozen=True, slots=True)
class Ended:
    """How the services ended: by request, or because `culprit` did by itself."""

    culprit: str | None
    code: int


def driftline(*arguments: str) -> list[str]:
    """Return the command line that runs this installation's `driftline` with `arguments`."""
    return [sys.executable, "-m", "services.cli", *arguments]


def stop_with_parent() -> None:
    """Ask this process to stop (SIGTERM) as soon as its stdin ends."""

    def wait_for_the_end() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_the_end, name="stop-with-parent", daemon=True).start()


def start_child(command: list[str], environment: Mapping[str, str], output: int) -> subprocess.Popen[str]:
    """Start a process of our own that ends with us; `output` is a file descriptor or `subprocess.PIPE`."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
        command,
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


class Supervisor:
    """Runs one process per name, and stops the others when one ends.

    may_end: those that have an end of their own, with which the others go on.
    restarts: start one again that ended by itself, unless its code says that someone must look first.
    """

    def __init__(
        self,
        commands: Mapping[str, list[str]],
        environment: Mapping[str, str],
        line: Line,
        *,
        may_end: frozenset[str] = frozenset(),
        restarts: bool = False,
    ) -> None:
        self._commands = commands
        self._environment = environment
        self._line = line
        self._may_end = may_end
        self._restarts = restarts
        self._again_at: dict[str, float] = {}  # before which one that was started again is not once more
        self._printers: list[threading.Thread] = []
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._is_asked = False

    def run(self) -> Ended:
        """Start all and wait until SIGTERM or SIGINT asks us to stop, or one ends by itself."""
        before = {number: signal.signal(number, self._asked) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            for name in self._commands:
                self._start(name)
            culprit = self._watch()
        finally:
            self._end(self._processes.values())
            for printer in self._printers:
                printer.join()
            for number, handler in before.items():
                signal.signal(number, handler)
        codes = {name: process.returncode for name, process in self._lasting().items()}
        if culprit is not None:
            return Ended(culprit, codes[culprit])
        failed = next((name for name, code in codes.items() if code != 0), None)
        return Ended(failed, 0 if failed is None else codes[failed])

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        self._is_asked = True  # and nothing that takes a lock: the next signal may come before this returns

    def _start(self, name: str) -> None:
        process = start_child(self._commands[name], self._environment, subprocess.PIPE)
        self._processes[name] = process
        printer = threading.Thread(target=self._print, args=(name, process), name=f"output-of-{name}", daemon=True)
        printer.start()
        self._printers = [*(one for one in self._printers if one.is_alive()), printer]

    def _print(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101 - started with a pipe
        with process.stdout as output:
            for text in output:
                self._line(name, text.rstrip("\n"))

    def _watch(self) -> str | None:
        """Return who ended by itself, or None when we were asked to stop."""
        while not self._is_asked:
            time.sleep(WATCH_SECONDS)
            for name, process in self._lasting().items():
                code = process.poll()
                if code is None:
                    continue
                if not self._restarts or code in FINAL:
                    return name
                self._start_again(name, code)
        return None

    def _start_again(self, name: str, code: int) -> None:
        """Start again who ended; one that ends again and again, after a pause."""
        if time.monotonic() < self._again_at.get(name, 0.0):
            return
        self._again_at[name] = time.monotonic() + BETWEEN_STARTS_SECONDS
        self._line(name, f"ended with code {code}, is started again")
        stdin = self._processes[name].stdin
        if stdin is not None:
            stdin.close()
        self._start(name)

    def _lasting(self) -> dict[str, subprocess.Popen[str]]:
        return {name: process for name, process in self._processes.items() if name not in self._may_end}

    @staticmethod
    def _end(processes: Collection[subprocess.Popen[str]]) -> None:
        alive = [process for process in processes if process.poll() is None]
        for process in alive:
            process.terminate()
        for process in alive:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for process in processes:
            if process.stdin is not None:
                process.stdin.close()
