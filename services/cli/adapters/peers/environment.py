"""The Python environment of the peers: made once in the user's cache folder, from `peers.lock`, with pip."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rich.console import Console

from services.cli.bench.figure import BenchFailed
from shared.identity import content_hash

LOCK = Path(__file__).with_name("peers.lock")
_PIP = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
_AS_LOCKED = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)]


def interpreter(cache: Path) -> Path:
    """Return the environment's Python; the first call of a user and of a lock file installs 1.6 GB.

    An installation that was interrupted is done again.

    Raises:
        BenchFailed: something cannot be installed.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / "peers" / f"{content_hash(LOCK.read_bytes())[:16]}-{version}"
    python, whole = folder / "bin" / "python", folder / "whole"
    if not whole.exists():
        Console(stderr=True).print(f"Installing Evidently and NannyML, once, into {folder}", soft_wrap=True)
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), *_PIP, *_AS_LOCKED])
        whole.touch()
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command line
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).splitlines()[-5:])
        raise BenchFailed(f"the peers cannot be installed on Python {sys.version.split()[0]}:\n{said}")
