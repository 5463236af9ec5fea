"""What the broker and Redis have in common as embedded servers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from services.devstack.adapters.child import Child

START_SECONDS = 60.0
STOP_SECONDS = 20.0


class Server(ABC):
    """One server of this machine with its data in `folder`; data survives stops and kills."""

    start_seconds = START_SECONDS  # how long it may take to answer

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: Child | None = None
        self.port = 0

    @property
    def pid(self) -> int | None:
        """Return its process id; None when it is down."""
        return self._child.pid if self._child is not None and self._child.is_alive else None

    def start(self, port: int) -> None:
        """Start on `port` and wait until it answers there; one that runs already is killed first.

        Raises:
            PortLost: another program was faster.
            StackFailed: it does not start; names its log and the last lines.
        """
        self.begin(port)
        self.await_answer()

    def begin(self, port: int) -> None:
        """Start on `port` without waiting: a broker of several answers only when enough of them run."""
        self.kill()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._child = self._launch(port)
        self.port = port

    def await_answer(self) -> None:
        """Wait until it answers; raises like `start`."""
        assert self._child is not None, "begin first"  # noqa: S101 - a mistake of the caller
        child, port = self._child, self.port
        child.await_answer(lambda: self._answers(port, child.pid), self.start_seconds)

    def terminate(self) -> None:
        """Ask it to end; does not wait."""
        if self._child is not None:
            self._child.terminate()

    def end(self) -> None:
        """Wait for its end, and kill it when that takes too long."""
        if self._child is not None:
            self._child.end(STOP_SECONDS)

    def kill(self) -> None:
        """End it as kill -9 does."""
        if self._child is not None:
            self._child.kill()

    @abstractmethod
    def _launch(self, port: int) -> Child:
        """Write the configuration and start the process."""

    @abstractmethod
    def _answers(self, port: int, pid: int) -> bool:
        """Say whether this very server serves on `port`; another program's there does not count."""
