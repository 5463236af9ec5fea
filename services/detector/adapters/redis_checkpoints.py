"""Checkpoints in Redis: one string per partition, sixteen hexadecimal digits of position and the state."""

from __future__ import annotations

from typing import cast

import redis

from services.detector.checkpoints import Checkpoint
from shared.errors import Corrupt, Unavailable

POSITION_DIGITS = 16

_PUT_IF_NEWER = """
local kept = redis.call('GETRANGE', KEYS[1], 0, 15)
if #kept == 16 and kept > ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2])
return 1
"""


class RedisCheckpoints:
    """Keeps checkpoints under `driftline:<installation>:ck:<partition>`."""

    def __init__(self, client: redis.Redis, installation: str) -> None:
        self._client = client
        self._installation = installation
        self._put = client.register_script(_PUT_IF_NEWER)

    def get(self, partition: int) -> Checkpoint | None:
        """Return the newest checkpoint."""
        try:
            content = cast("bytes | None", self._client.get(self._key(partition)))
        except redis.RedisError as exc:
            raise Unavailable(f"Redis: {exc}") from exc
        if content is None:
            return None
        if len(content) < POSITION_DIGITS:
            raise Corrupt(f"the checkpoint {self._key(partition)} has {len(content)} bytes")
        try:
            position = int(content[:POSITION_DIGITS], 16)
        except ValueError:
            raise Corrupt(f"the checkpoint {self._key(partition)} begins with no position") from None
        return Checkpoint(position, content[POSITION_DIGITS:])

    def put_if_newer(self, partition: int, checkpoint: Checkpoint) -> bool:
        """Keep `checkpoint` unless a newer one is there."""
        # Digits of equal length compare as strings, so the script needs no number wider than Lua's 53 bits.
        position = f"{checkpoint.position:0{POSITION_DIGITS}x}"
        try:
            return bool(self._put(keys=[self._key(partition)], args=[position, checkpoint.state]))
        except redis.RedisError as exc:
            raise Unavailable(f"Redis: {exc}") from exc

    def _key(self, partition: int) -> str:
        return f"driftline:{self._installation}:ck:{partition}"
