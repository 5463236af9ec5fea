"""Checkpoints in Redis: one string per partition, sixteen hexadecimal digits of position and the sealed checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import redis

from services.detector.checkpoints import Candidate
from shared.errors import Corrupt, Unavailable

POSITION_DIGITS = 16

_PUT_IF_NEWER = """
local kept = redis.call('GETRANGE', KEYS[1], 0, 15)
if string.match(kept, '^%x+$') and #kept == 16 and kept > ARGV[1] and kept ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2])
return 1
"""


class RedisCheckpoints:
    """Keeps checkpoints under `driftline:<installation>:ck:<partition>`."""

    name = "redis"

    def __init__(self, client: redis.Redis, installation: str) -> None:
        self._client = client
        self._installation = installation
        self._put = client.register_script(_PUT_IF_NEWER)

    def candidates(self, partition: int) -> Sequence[Candidate]:
        """Return the newest checkpoint."""
        try:
            content = cast("bytes | None", self._client.get(self._key(partition)))
        except redis.RedisError as exc:
            raise Unavailable(f"Redis: {exc}") from exc
        if content is None:
            return []
        digits = content[:POSITION_DIGITS]
        try:
            # Of fewer digits than a position has, what follows it is cut off.
            position = int(digits.decode("ascii"), 16) if len(digits) == POSITION_DIGITS else -1
        except ValueError:
            position = -1
        if position < 0:
            return [Candidate(-1, partial(_refuse, self._key(partition)))]
        return [Candidate(position, partial(bytes, content[POSITION_DIGITS:]))]

    def put_if_newer(self, partition: int, position: int, sealed: bytes, over: int | None = None) -> bool:
        """Keep `sealed` unless a newer one is there."""
        # Digits of equal length compare as strings, so the script needs no number wider than Lua's 53 bits.
        args: list[str | bytes] = [_digits(position), sealed, "" if over is None or over < 0 else _digits(over)]
        try:
            return bool(self._put(keys=[self._key(partition)], args=args))
        except redis.RedisError as exc:
            raise Unavailable(f"Redis: {exc}") from exc

    def drop(self, partition: int) -> None:
        """Forget a partition."""
        try:
            self._client.unlink(self._key(partition))
        except redis.RedisError as exc:
            raise Unavailable(f"Redis: {exc}") from exc

    def _key(self, partition: int) -> str:
        return f"driftline:{self._installation}:ck:{partition}"


def _digits(position: int) -> str:
    return f"{position:0{POSITION_DIGITS}x}"


def _refuse(key: str) -> bytes:
    raise Corrupt(f"{key} begins with no position")
