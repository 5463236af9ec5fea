"""The view in process: for `driftline backtest` and tests. Same promises as the one in Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from services.joiner.view import Change, Reading, Snapshot


@dataclass(slots=True)
class _Shard:
    position: int
    meta: bytes = b""
    words: bytes = b""
    mark: bytes = b""
    current: dict[bytes, bytes] = field(default_factory=dict)
    older: dict[bytes, bytes] = field(default_factory=dict)


class MemoryView:
    """`View` over dictionaries."""

    def __init__(self) -> None:
        self._shards: dict[int, _Shard] = {}
        self._aloud: frozenset[int] = frozenset()

    def load(self, shard: int) -> Snapshot:
        """Return where a shard stands."""
        kept = self._shards.get(shard)
        if kept is None:
            return Snapshot(None, aloud=shard in self._aloud)
        return Snapshot(kept.position, kept.meta, kept.words, kept.mark)

    def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
        """Return entries and meta, if the shard is at `position`."""
        kept = self._shards.get(shard)
        if kept is None:
            return Reading() if position is None else None
        if kept.position != position:
            return None
        found = ((identity, self.find(shard, identity)) for identity in ids)
        return Reading(kept.meta, {identity: entry for identity, entry in found if entry is not None})

    def advance(self, shard: int, position: int | None, change: Change) -> bool:
        """Apply `change` if the shard is at `position`."""
        kept = self._shards.get(shard)
        if (None if kept is None else kept.position) != position:
            return False
        if kept is None:
            kept = self._shards[shard] = _Shard(change.position)
            self._aloud -= {shard}
        if change.rotate:
            kept.older, kept.current = kept.current, {}
        kept.current.update(change.entries)
        for identity in change.erased:
            if identity in kept.older:
                kept.older[identity] = change.entries[identity]
        kept.position, kept.meta, kept.mark = change.position, change.meta, change.mark
        if change.words is not None:
            kept.words = change.words
        return True

    def drop(self, shard: int, *, aloud: bool = False) -> None:
        """Forget a shard."""
        self._shards.pop(shard, None)
        self._aloud = self._aloud | {shard} if aloud else self._aloud - {shard}

    def find(self, shard: int, identity: bytes) -> bytes | None:
        """Return one entry, of the newer generation where both have it."""
        kept = self._shards.get(shard)
        if kept is None:
            return None
        return kept.current.get(identity, kept.older.get(identity))

    def scan(self, shard: int) -> Iterator[list[bytes]]:
        """Yield the ids that are kept."""
        kept = self._shards.get(shard)
        if kept is not None:
            yield list(kept.current)
            yield list(kept.older)

    def close(self) -> None:
        """Leave."""
