"""What stands in for Docker: containers of `docker-compose.yaml` as processes of this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from services.cli.adapters.supervisor import driftline
from services.devstack.adapters.ports import free_port
from services.devstack.stack import StackFailed
from shared.services import SERVICES
from shared.settings import Settings
from tests.kit.compose import Container
from tests.kit.waiting import PATIENCE_SECONDS

TRIES = 100


class Machine:
    """Containers' commands and environment as written, but for the two servers and names of one's own.

    Their mounts are links below `root`.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self._root = root
        here = msgspec.structs.replace(settings, health_port=_first_port()).environment()
        ours = ("BOOTSTRAP", "REDIS_URL", "TOPIC_PREFIX", "INSTALLATION", "HEALTH_PORT")
        self._here = {name: here[name] for name in (f"DRIFTLINE_{ending}" for ending in ours)}

    def run(self, container: Container, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `driftline` with `words`, or else with the container's command, to its end."""
        return subprocess.run(
            self._command(container, words or tuple(container.command)),
            env=self._environment(container),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def is_healthy(self, container: Container) -> bool:
        """Ask as Docker does."""
        assert container.healthcheck is not None
        kind, program, *words = container.healthcheck
        assert (kind, program) == ("CMD", "driftline")
        return self.run(container, *words).returncode == 0

    @contextmanager
    def running(self, container: Container) -> Iterator[subprocess.Popen[bytes]]:
        """Run the container's command while the block runs; what it said is shown when the block fails."""
        log = self._root / f"{container.name}.log"
        with log.open("wb") as lines:
            process = subprocess.Popen(
                self._command(container, tuple(container.command)),
                env=self._environment(container),
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        except BaseException:
            print(log.read_text(errors="replace"))  # noqa: T201 - pytest shows it with the failure
            raise
        finally:
            process.kill()
            process.wait(PATIENCE_SECONDS)

    def _environment(self, container: Container) -> dict[str, str]:
        written = {name: self._outside(container, value) for name, value in container.environment.items()}
        # The image has its own cache; here it is this machine's.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("DRIFTLINE_") or name == "DRIFTLINE_CACHE"
        }
        return {**inherited, **written, **self._here}

    def _command(self, container: Container, words: tuple[str, ...]) -> list[str]:
        return driftline(*(self._outside(container, word) for word in words))

    def _outside(self, container: Container, word: str) -> str:
        """Return a word of the container as this machine must say it: a mounted file's path is another one here."""
        for inside, outside in container.files.items():
            link = self._root / inside.relative_to("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(outside)
            if word == str(inside):
                word = str(link)
        return word


def _first_port() -> int:
    """Return the first of as many free ports in a row as there are services."""
    for _ in range(TRIES):
        first = free_port(0, 0)
        try:
            for port in range(first, first + len(SERVICES)):
                free_port(port, 0)
        except StackFailed:
            continue
        return first
    raise AssertionError(f"no {len(SERVICES)} free ports in a row")
