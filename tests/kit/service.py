"""Services as the processes that they are in production."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from shared.settings import Settings
from tests.kit.waiting import PATIENCE_SECONDS


class Service:
    """One `python -m services.<name>`; its log lines go to a file."""

    def __init__(self, name: str, settings: Settings, log: Path) -> None:
        self.log = log
        with log.open("ab") as lines:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}"],
                env={"PATH": "", **settings.environment()},
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=subprocess.STDOUT,
            )

    def lines(self) -> list[dict[str, object]]:
        """Return the JSON lines written so far."""
        whole = self.log.read_bytes().split(b"\n")[:-1]
        return [msgspec.json.decode(line) for line in whole if line.startswith(b"{")]

    def wait(self) -> int:
        """Return the exit code of a process that ends by itself; minus the signal that killed it."""
        return self._process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """Ask the process to end; return its exit code."""
        self._process.terminate()
        return self.wait()

    def kill(self) -> None:
        """End the process without a word; nothing when it has ended."""
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)


@contextmanager
def service(name: str, settings: Settings, folder: Path) -> Iterator[Service]:
    """Run a service while the block runs; what it said is shown when the block fails."""
    running = Service(name, settings, folder / f"{name}.log")
    try:
        yield running
    except BaseException:
        print(running.log.read_text(errors="replace"))  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        running.kill()
