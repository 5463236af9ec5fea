"""Downloading Kafka's jars once per user, checked against the lock file."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.env import LockFile
from jgo.maven import MavenContext
from rich.console import Console
from rich.progress import track

from services.devstack.jars import COORDINATES, Jar
from services.devstack.stack import StackFailed

Download = Callable[[Jar, Path], Path]

_DOWNLOADS_AT_ONCE = 6
_TRIES = 3


def keep_jars(jars: Sequence[Jar], folder: Path, download: Download, progress: Callable[[str], None]) -> None:
    """Make `folder` hold every jar with its locked checksum; calls `download` only for those it lacks.

    `download(jar, into)` returns the file it made below the folder `into`. What is in `folder` has been checked
    before it got its name, so an interrupted download leaves nothing behind and two processes may do this at once.

    Raises:
        StackFailed: a jar cannot be had, or is not the locked one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not _is_kept(jar, folder)]
    if not missing:
        return
    progress(f"Downloading Kafka: {len(missing)} of {len(jars)} jars, once, into {folder}")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(dir=folder) as staging, ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        arriving = pool.map(lambda jar: _fetch(jar, folder, Path(staging), download), missing)
        bar = track(arriving, "Kafka", len(missing), console=console, disable=not console.is_terminal, transient=True)
        for _ in bar:
            pass


def download_jar(jar: Jar, into: Path) -> Path:
    """Download `jar` from Maven Central, or the repositories of the user's jgo configuration, below `into`."""
    artifact = _repositories(into).project(jar.group, jar.artifact).at_version(jar.version).artifact()
    return Path(artifact.resolve())


def resolve_lock(lock: Path) -> None:
    """Resolve `COORDINATES` with everything they need, and write the lock file anew."""
    with tempfile.TemporaryDirectory() as cache:
        context = _repositories(Path(cache))
        asked, needed = context.resolver.resolve([context.create_dependency(name) for name in COORDINATES])
        LockFile.from_resolved_dependencies(asked + needed, environment_name="kafka").save(lock)


def _fetch(jar: Jar, folder: Path, staging: Path, download: Download) -> None:
    for attempt in range(1, _TRIES + 1):
        try:
            arrived = download(jar, staging / f"{jar.sha256}.{attempt}")
            break
        except (OSError, RuntimeError) as exc:  # what jgo raises for the network and for an absent file
            if attempt == _TRIES:
                raise StackFailed(
                    f"cannot download {jar.group}:{jar.artifact}:{jar.version} ({exc}): check the network, or name a "
                    f"mirror in jgo's configuration, and start again; the jars already in {folder} are kept"
                ) from exc
    if _sha256(arrived) != jar.sha256:
        raise StackFailed(f"{jar.file} is not the file that kafka.lock names: the mirror may be altered; not used")
    arrived.replace(folder / jar.file)


def _repositories(cache: Path) -> MavenContext:
    remote = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(repo_cache=cache, remote_repos=remote)


def _is_kept(jar: Jar, folder: Path) -> bool:
    path = folder / jar.file
    return path.is_file() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
