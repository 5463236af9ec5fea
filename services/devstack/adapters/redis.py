"""The embedded Redis."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from redis import RedisError

from services.devstack import redis_config
from services.devstack.adapters.child import Child, accepts_connections
from services.devstack.adapters.server import Server
from services.devstack.security import ADMIN, Files, administrator, redis_lines, redis_users
from shared.adapters.redis import connect


class EmbeddedRedis(Server):
    """One Redis; a kill loses at most its last two seconds."""

    def __init__(self, program: Path, folder: Path, files: Files | None = None) -> None:
        super().__init__(folder)
        self._files = files  # of a secured one
        self._program = program

    def _launch(self, port: int) -> Child:
        conf = self._folder / "redis.conf"
        conf.write_text(self._conf(port), encoding="utf-8")
        return Child("Redis", [str(self._program), str(conf)], self._folder / "redis.log")

    def _conf(self, port: int) -> str:
        """Return what Redis is told."""
        security = "" if self._files is None else redis_lines(self._files, port, self._users(self._files))
        return redis_config.redis_conf(port=port, folder=self._folder, security=security)

    def cut(self, share: float) -> int:
        """Take the end of what it keeps, while it is down; return how many bytes are gone."""
        kept = append_only_log(self._folder)
        size = kept.stat().st_size
        lost = round(share * size)
        os.truncate(kept, size - lost)
        return lost

    def _users(self, files: Files) -> Path:
        users = self._folder / "users.acl"
        if not users.exists():
            password = files.password(ADMIN).read_bytes()
            users.write_text(redis_users(hashlib.sha256(password).hexdigest()), encoding="utf-8")
        return users

    def _answers(self, port: int, pid: int) -> bool:
        if not accepts_connections(port):
            return False
        scheme = "redis" if self._files is None else "rediss"
        with connect(administrator("", f"{scheme}://127.0.0.1:{port}/0", self._files).redis) as client:
            try:
                said = client.info()
                return bool(said["process_id"] == pid and not said["loading"])
            except RedisError:  # it is not a Redis
                return False


def append_only_log(folder: Path) -> Path:
    """Return the file to which a Redis appends its writes."""
    several = sorted(folder.glob("appendonlydir/*.incr.aof"))
    return several[-1] if several else folder / "appendonly.aof"  # before Redis 7 there is one file
