"""A peer as a process that answers how long its verdicts take."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from services.cli.bench.figure import BenchFailed

SCRIPT = Path(__file__).with_name("script.py")
_SILENT = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}  # no message home in the time that is measured


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a peer."""

    seconds: float
    columns: int  # that have a verdict


class Peer:
    """A running peer."""

    def __init__(self, name: str, process: subprocess.Popen[str], errors: Path) -> None:
        self._name = name
        self._process = process
        self._errors = errors

    def ask(self) -> Answer:
        """Return the next call.

        Raises:
            BenchFailed: the peer has ended.
        """
        assert self._process.stdin is not None  # noqa: S101 - started with pipes
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and what it said is told by `answer`
        return self.answer()

    def answer(self) -> Answer:
        """Return the call that is under way; the first one of a process is its warm-up."""
        assert self._process.stdout is not None  # noqa: S101 - started with pipes
        line = self._process.stdout.readline()
        if not line:
            said = "\n".join(self._errors.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
            raise BenchFailed(f"{self._name} ended:\n{said}")
        return msgspec.json.decode(line, type=Answer)


@contextmanager
def running(python: Path, name: str, reference: Path, window: Path) -> Iterator[Peer]:
    """Start a peer on two Parquet files and wait for its warm-up.

    Raises:
        BenchFailed: it does not start.
    """
    with tempfile.NamedTemporaryFile(prefix=f"driftline-{name}-") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [str(python), "-I", "-W", "ignore", str(SCRIPT), name, str(reference), str(window)],
            env=os.environ | _SILENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            peer = Peer(name, process, Path(errors.name))
            peer.answer()
            yield peer
        finally:
            process.kill()
            process.communicate()
