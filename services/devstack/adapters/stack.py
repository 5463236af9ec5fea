"""Both servers together: start, faults for tests, stop."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.devstack import ports
from services.devstack.adapters.certificates import make_certificates
from services.devstack.adapters.jars import download_jar, keep_jars
from services.devstack.adapters.kafka import EmbeddedKafka
from services.devstack.adapters.ports import with_free_port
from services.devstack.adapters.programs import Java, RedisServer, find_java, find_redis
from services.devstack.adapters.redis import EmbeddedRedis
from services.devstack.adapters.server import Server
from services.devstack.jars import class_path, kafka_version, locked_jars
from services.devstack.security import ADMIN, Files, administrator
from services.devstack.stack import StackDescription, StackFailed, StackOptions


@dataclass(frozen=True, slots=True)
class Programs:
    """What the servers are started from."""

    java: Java
    redis: RedisServer
    class_path: str
    kafka_version: str


class RunningStack:
    """A broker and a Redis that answer. Ports and data stay the same over kill and start."""

    def __init__(
        self,
        data: Path,
        kafka: EmbeddedKafka,
        redis: EmbeddedRedis,
        programs: Programs,
        files: Files | None = None,
    ) -> None:
        self._kafka = kafka
        self._redis = redis
        self.data = data
        self.bootstrap = f"127.0.0.1:{kafka.port}"
        self.redis_url = f"{'rediss' if files else 'redis'}://127.0.0.1:{redis.port}/0"
        self.files = files  # of a secured one
        self.administrator = administrator(self.bootstrap, self.redis_url, files)
        self.kafka_version = programs.kafka_version
        self.redis_version = programs.redis.version
        self.redis_server = programs.redis.path
        self.java = programs.java.path
        self.java_version = programs.java.version
        self._describe()

    @property
    def description(self) -> StackDescription:
        """Return what `stack.json` says."""
        pids = {"driftline": os.getpid(), "kafka": self._kafka.pid, "redis": self._redis.pid}
        return StackDescription(
            bootstrap=self.bootstrap,
            redis_url=self.redis_url,
            secrets=None if self.files is None else str(self.files.folder),
            data=str(self.data),
            kafka_version=self.kafka_version,
            redis_version=self.redis_version,
            redis_server=str(self.redis_server),
            java=str(self.java),
            java_version=self.java_version,
            pids={name: pid for name, pid in pids.items() if pid is not None},
        )

    def kill_kafka(self) -> None:
        """End the broker as kill -9 does."""
        self._kafka.kill()
        self._describe()

    def start_kafka(self) -> None:
        """Start the broker again and wait until it answers."""
        self._kafka.start(self._kafka.port)
        self._describe()

    def kill_redis(self) -> None:
        """End Redis as kill -9 does."""
        self._redis.kill()
        self._describe()

    def start_redis(self) -> None:
        """Start Redis again and wait until it has loaded its data."""
        self._redis.start(self._redis.port)
        self._describe()

    def cut_redis(self, share: float) -> int:
        """Take the end of what Redis keeps, while it is down; return how many bytes are gone."""
        return self._redis.cut(share)

    def stop(self) -> None:
        """End both servers; they are gone when this returns. Idempotent."""
        _stop(self._kafka, self._redis)
        self._describe()

    def _describe(self) -> None:
        text = msgspec.json.format(msgspec.json.encode(self.description), indent=2)
        (self.data / "stack.json").write_bytes(text + b"\n")


def prepared(cache: Path, progress: Callable[[str], None], *, with_tls: bool = False) -> Programs:
    """Return what servers are started from; downloads what `cache` lacks.

    Raises:
        StackFailed: says what is missing, and what to do.
    """
    java, redis = find_java(os.environ), find_redis(os.environ, with_tls=with_tls)
    jars, folder = locked_jars(), cache / "jars"
    keep_jars(jars, folder, download_jar, progress)
    return Programs(java, redis, class_path(folder, jars), kafka_version(jars))


@contextmanager
def running_stack(options: StackOptions, progress: Callable[[str], None]) -> Iterator[RunningStack]:
    """Start Kafka and Redis, and end them on the way out; `progress` gets a line of text a step.

    Enter it from a thread that outlives it, such as the main thread: on Linux the servers die with the thread that
    started them, so that not even kill -9 leaves one behind.

    Raises:
        StackFailed: says what is missing or wrong, where the logs are, and what to do.
    """
    programs = prepared(options.cache, progress, with_tls=options.secure)
    with _data_folder(options.data) as data, ExitStack() as undo:
        files = _secrets(data / "secrets") if options.secure else None
        kafka = EmbeddedKafka(programs.java.path, programs.class_path, data / "kafka", files=files)
        redis = EmbeddedRedis(programs.redis.path, data / "redis", files)
        undo.callback(_stop, kafka, redis)
        progress(f"Starting Redis {programs.redis.version} ({programs.redis.path})")
        with_free_port(options.redis_port, ports.REDIS, redis.start)
        progress(f"Starting Apache Kafka {programs.kafka_version} (Java {programs.java.version})")
        with_free_port(options.kafka_port, ports.KAFKA, kafka.start)
        stack = RunningStack(data, kafka, redis, programs, files)
        undo.callback(stack.stop)
        yield stack


def _secrets(folder: Path) -> Files:
    files = Files(folder.resolve())
    files.folder.mkdir(mode=0o700, exist_ok=True)
    make_certificates(files)
    if not files.password(ADMIN).exists():
        files.password(ADMIN).touch(mode=0o600)
        files.password(ADMIN).write_text(secrets.token_hex(16), encoding="utf-8")
    return files


@contextmanager
def _data_folder(given: Path | None) -> Iterator[Path]:
    """Yield the folder for this stack's data: `given` is kept and ours alone meanwhile, a temporary one is deleted."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        with (given / "lock").open("w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise StackFailed(f"a stack runs in {given} already: use it, stop it, or give another folder") from exc
            yield given.resolve()
        return
    data = Path(tempfile.mkdtemp(prefix="driftline-"))
    has_evidence = False
    try:
        yield data
    except StackFailed:
        has_evidence = any(data.iterdir())  # logs that the text of the error names
        raise
    finally:
        if not has_evidence:
            shutil.rmtree(data)


def _stop(*servers: Server) -> None:
    for server in servers:
        server.terminate()
    for server in servers:
        server.end()
