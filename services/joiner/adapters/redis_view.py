"""The view in Redis: three keys a shard, one script to look, one to move on. Redis may lose or repeat anything.

`{driftline:<installation>:<N>:<shard>}:m` holds position, meta, words, mark and the sizes of the two generations; `:g0`
and `:g1` hold the entries. The braces keep a shard's keys together on a Redis cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any, cast

from services.joiner.view import Change, Reading, Snapshot
from shared.access import RedisAccess
from shared.adapters.redis import answering, connect, refuse_eviction

SCANNED = 1_000  # entries in one answer, more or less


class RedisView:
    """`View` of the installation's `shards` shards.

    is_owner: of whoever folds into it; a Redis that may throw entries away is refused where a shard is first loaded.
    """

    def __init__(self, access: RedisAccess, *, installation: str, shards: int, is_owner: bool = False) -> None:
        self._redis = connect(access)
        self._has_to_ask = is_owner
        self._prefix = f"driftline:{installation}:{shards}"
        self._read = self._redis.register_script(_script("read.lua"))
        self._compare_and_set = self._redis.register_script(_script("compare_and_set.lua"))

    def load(self, shard: int) -> Snapshot:
        """Return where a shard stands; not intact when Redis has other numbers of entries than were written.

        Raises:
            ConfigurationError: Redis evicts keys, and this is the view of an owner.
        """
        if self._has_to_ask:
            refuse_eviction(self._redis)
            self._has_to_ask = False
        meta, current, older = self._keys(shard)
        with answering(), self._redis.pipeline(transaction=True) as look:
            look.hmget(meta, ["pos", "meta", "words", "mark", "aloud", "n0", "n1"])
            look.hlen(current)
            look.hlen(older)
            fields, *sizes = look.execute()
        position, meta_bytes, words, mark, aloud, *written = fields
        if position is None:
            return Snapshot(None, aloud=aloud is not None)
        intact = [int(n or -1) for n in written] == sizes
        return Snapshot(int(position), meta_bytes or b"", words or b"", mark or b"", intact=intact)

    def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
        """Return entries and meta, if the shard is at `position` and has all its entries."""
        with answering():
            found: list[Any] | None = self._read(keys=self._keys(shard), args=[_text(position), *ids])
        if found is None:
            return None
        meta, *entries = found
        # Without a position there are no entries at all, so the two differ in length.
        return Reading(meta, {i: entry for i, entry in zip(ids, entries, strict=False) if entry is not None})

    def advance(self, shard: int, position: int | None, change: Change) -> bool:
        """Apply `change` if the shard is at `position`."""
        arguments: list[bytes | str] = [
            _text(position),
            _text(change.position),
            change.meta,
            change.words or b"",
            "1" if change.rotate else "0",
            change.mark,
            str(len(change.erased)),
            *change.erased,
        ]
        for pair in change.entries.items():
            arguments += pair
        with answering():
            return bool(self._compare_and_set(keys=self._keys(shard), args=arguments))

    def drop(self, shard: int, *, aloud: bool = False) -> None:
        """Forget a shard."""
        keys = self._keys(shard)
        with answering(), self._redis.pipeline(transaction=True) as together:
            together.unlink(*keys)
            if aloud:
                together.hset(keys[0], "aloud", "1")
            together.execute()

    def find(self, shard: int, identity: bytes) -> bytes | None:
        """Return one entry, of the newer generation where both have it."""
        _, *generations = self._keys(shard)
        with answering(), self._redis.pipeline(transaction=True) as look:
            for generation in generations:
                look.hget(generation, identity)
            entries: list[bytes | None] = look.execute()
        current, older = entries
        return older if current is None else current

    def scan(self, shard: int) -> Iterator[list[bytes]]:
        """Yield the ids that are kept; one that changes its generation meanwhile is in one of the two."""
        _, current, older = self._keys(shard)
        # A generation only ever becomes the older one: read after the current, it holds what has left that.
        for generation in (current, older):
            cursor = 0
            while True:
                with answering():
                    cursor, found = self._redis.hscan(generation, cursor, count=SCANNED)
                yield [cast("bytes", identity) for identity in found]
                if cursor == 0:
                    break

    def close(self) -> None:
        """Leave."""
        self._redis.close()

    def _keys(self, shard: int) -> list[str]:
        return [f"{{{self._prefix}:{shard}}}:{name}" for name in ("m", "g0", "g1")]


def _script(name: str) -> str:
    return (files("services.joiner.adapters") / name).read_text(encoding="utf-8")


def _text(position: int | None) -> str:
    return "" if position is None else str(position)
