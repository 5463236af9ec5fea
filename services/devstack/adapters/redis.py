"""The embedded Redis."""

from __future__ import annotations

from pathlib import Path

from redis import Redis, RedisError

from services.devstack import redis_config
from services.devstack.adapters.child import Child, accepts_connections
from services.devstack.adapters.server import Server


class EmbeddedRedis(Server):
    """One Redis; a kill loses at most its last two seconds."""

    def __init__(self, program: Path, folder: Path) -> None:
        super().__init__(folder)
        self._program = program

    def _launch(self, port: int) -> Child:
        conf = self._folder / "redis.conf"
        conf.write_text(self._conf(port), encoding="utf-8")
        return Child("Redis", [str(self._program), str(conf)], self._folder / "redis.log")

    def _conf(self, port: int) -> str:
        """Return what Redis is told."""
        return redis_config.redis_conf(port=port, folder=self._folder)

    def _answers(self, port: int, pid: int) -> bool:
        if not accepts_connections(port):
            return False
        with Redis(port=port, socket_timeout=2.0) as client:
            try:
                return bool(client.info("server")["process_id"] == pid)
            except RedisError:  # it is loading, or it is not a Redis
                return False
