"""A server as a child process: it ends with us, and its last words are kept."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from services.devstack.stack import PortLost, StackFailed

LAST_LINES = 20
_PORT_IS_TAKEN = b"Address already in use"  # which a broker says long before its last words
POLL_SECONDS = 0.05

# Runs before the server, in its process: asks Linux to kill it when the thread that started it ends, kill -9
# included, then becomes it. A `preexec_fn` would do the same but may deadlock when other threads run.
_BOUND_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Child:
    """One started process.

    `command` begins with an absolute path. Output goes to `output`, which is emptied first; `logs` are the files
    that its failure is explained with. The process has its own session, so that Ctrl-C in a terminal reaches only
    us and we stop it in order. On Linux it is killed when the thread that made this object ends: start servers
    from a thread that lives as long as they shall. Elsewhere it survives a kill -9 of ours.
    """

    def __init__(self, name: str, command: Sequence[str], output: Path, logs: Sequence[Path] = ()) -> None:
        self._name = name
        self._logs = {path: _size(path) for path in logs} | {output: 0}  # how long they are before
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _BOUND_TO_PARENT, str(os.getpid()), *command]
        with output.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Return its process id; the server's own, as the launcher becomes the server."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Say whether it still runs."""
        return self._process.poll() is None

    def await_answer(self, answers: Callable[[], bool], seconds: float) -> None:
        """Wait until `answers()`.

        Raises:
            PortLost: it ended because its port was taken.
            StackFailed: it ended for another reason, or did not answer in time.
        """
        deadline = time.monotonic() + seconds
        while not answers():
            if not self.is_alive:
                self._raise_ended()
            if time.monotonic() > deadline:
                raise StackFailed(f"{self._name} did not answer within {seconds:.0f} s{self._last_words()}")
            time.sleep(POLL_SECONDS)

    def await_success(self, seconds: float) -> None:
        """Wait until it ended with exit code 0.

        Raises:
            StackFailed: another code, or it did not end in time.
        """
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired as exc:
            self.kill()
            raise StackFailed(f"{self._name} did not end within {seconds:.0f} s{self._last_words()}") from exc
        if code != 0:
            self._raise_ended()

    def terminate(self) -> None:
        """Ask it to end; does not wait."""
        if self.is_alive:
            self._process.terminate()

    def end(self, seconds: float) -> None:
        """Wait up to `seconds` for its end, then kill it. Idempotent."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone. Idempotent."""
        if self.is_alive:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _raise_ended(self) -> None:
        words = self._last_words()
        if any(_PORT_IS_TAKEN in _said(path, before) for path, before in self._logs.items()):
            raise PortLost(f"{self._name} found its port taken{words}")
        raise StackFailed(f"{self._name} ended with exit code {self._process.returncode}{words}")

    def _last_words(self) -> str:
        return "".join(_tail(path) for path in self._logs)


def accepts_connections(port: int) -> bool:
    """Say whether something listens on `port` of this machine. Clients that back off are only made after that."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _said(path: Path, before: int) -> bytes:
    """Return what a log holds beyond `before`; all of it where a new file took its place."""
    if _size(path) == 0:
        return b""
    said = path.read_bytes()
    return said[before:] if len(said) >= before else said


def _tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join([f"\n{path}, last lines:", *lines[-LAST_LINES:]]) if lines else ""
