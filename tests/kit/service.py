"""Services as the processes that they are in production."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from shared.settings import Settings
from tests.kit.waiting import PATIENCE_SECONDS

# Where `make setup` has kept what it compiled: a detector that compiles takes a minute to begin.
CACHES = {name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME", "DRIFTLINE_CACHE") if name in os.environ}


def environment(settings: Settings) -> dict[str, str]:
    """Return all that a process of an installation is told: its settings, and where this machine keeps what it may."""
    return {"PATH": "", **settings.environment(), **CACHES}


class Service:
    """One `python -m services.<name>`, or another program, in a group of its own; its log lines go to a file."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        log: Path,
        changed: Mapping[str, str] | None = None,
        program: Sequence[str] = (),
    ) -> None:
        self.log = log
        with log.open("ab") as lines:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *(program or [f"services.{name}"])],
                env={**environment(settings), **(changed or {})},
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._process.poll()

    @property
    def stands_still(self) -> bool:
        """Return whether it is stopped, and nobody has let it go on."""
        state = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        return state == "T"

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

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
