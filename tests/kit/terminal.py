"""A person at a shell: runs the commands of a page literally, and leaves running what keeps running."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.kit.waiting import until

LONGEST_SECONDS = 300.0
_END = "---- end of the command, code "


def keeps_running(line: str) -> bool:
    """Return whether a command has no end of its own, so that a person gives it a terminal of its own."""
    words = shlex.split(line, comments=True)
    is_server = words[:2] == ["driftline", "dev"] or words[:3] == ["driftline", "services", "run"]
    return is_server or "--keep" in line or ("--follow" in words and "--timeout" not in words)


class Terminal:
    """One shell, whose folder and variables last from command to command, and its neighbours."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._neighbours: list[subprocess.Popen[bytes]] = []

    def run(self, command: str) -> str:
        """Return what `command` prints on both streams; it may hold several lines.

        Raises:
            AssertionError: it fails, or does not end; the text is all that it printed.
        """
        patience = threading.Timer(LONGEST_SECONDS, os.killpg, (self._shell.pid, signal.SIGKILL))
        patience.start()
        try:
            return self._run(command)
        finally:
            patience.cancel()

    def _run(self, command: str) -> str:
        self._input.write(f"{{\n{command}\n}} < /dev/null\necho; echo '{_END}'$?\n")
        self._input.flush()
        printed: list[str] = []
        for line in self._output:
            if line.startswith(_END):
                code = int(line.removeprefix(_END))
                assert code == 0, f"{command!r} ended with {code}:\n{''.join(printed)}"
                return "".join(printed)
            printed.append(line)
        raise AssertionError(f"the shell ended at {command!r}:\n{''.join(printed)}")

    def leave_running(self, command: str) -> Path:
        """Start `command` in a terminal of its own, where this one is; return the file of what it prints."""
        where, variables = self.run("pwd; export -p").split("\n", 1)
        said = self._folder / f"terminal-{len(self._neighbours) + 2}.log"
        with said.open("wb") as output:
            self._neighbours.append(
                subprocess.Popen(
                    ["bash", "--noprofile", "--norc", "-c", f"{variables}\ncd {shlex.quote(where)}\nexec {command}"],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        return said

    def close(self) -> None:
        """Press Ctrl-C in every terminal, the youngest first, and leave."""
        for neighbour in reversed(self._neighbours):
            if neighbour.poll() is None:
                os.killpg(neighbour.pid, signal.SIGINT)
                neighbour.wait(60.0)
        self._input.close()
        self._shell.wait(60.0)
        self._output.close()

    @property
    def _input(self) -> IO[str]:
        assert self._shell.stdin is not None
        return self._shell.stdin

    @property
    def _output(self) -> IO[str]:
        assert self._shell.stdout is not None
        return self._shell.stdout


@contextmanager
def terminal(folder: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    """Open a shell in `folder`, and close it and all that was left running."""
    opened = Terminal(folder, environment)
    try:
        yield opened
    finally:
        opened.close()


def wait_for(said: Path, *words: str) -> str:
    """Return what a command has printed once it holds all of `words`."""
    return until(
        lambda: said.read_text(encoding="utf-8", errors="replace"), lambda text: all(word in text for word in words)
    )
