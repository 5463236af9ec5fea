"""One shard of `driftline.halves` folded again in memory: what the joiner must have written, and kept."""

from __future__ import annotations

from collections.abc import Iterator

from services.joiner.adapters.memory_view import MemoryView
from services.joiner.columns import identities
from services.joiner.entry import expires
from services.joiner.fold import Emission, Fold
from services.joiner.meta import Meta
from services.joiner.shapes import Shapes
from services.joiner.view import Snapshot
from services.joiner.words import Words
from shared.events.block import Block
from shared.identity import IdKey
from shared.log import Record


class JoinedShard:
    """The state after a prefix of a shard's log. Memory is that of the entries that the joiner keeps of the shard."""

    def __init__(self, shard: int, key: IdKey, destinations: int) -> None:
        self.meta = Meta.fresh(destinations)
        self.shapes = Shapes(Words())
        self._shard, self._key = shard, key
        self._view = MemoryView()
        self.position: int | None = None

    def fold(self, record: Record, block: Block) -> list[Emission]:
        """Take one record; return its outputs in order.

        Raises:
            Corrupt, LogIdentity: as the joiner's fold.
        """
        ids = [] if block.batch is None else list(dict.fromkeys(identities(block.batch)))
        reading = self._view.read(self._shard, self.position, ids)
        fold = Fold(self._shard, self._key, self.meta, self.shapes, {} if reading is None else reading.entries)
        outputs = fold.fold(record, block)
        change = fold.change()
        self._view.advance(self._shard, self.position, change)
        self.position = change.position
        return outputs

    def snapshot(self) -> Snapshot:
        """Return what the view must say of the shard."""
        return self._view.load(self._shard)

    def ids(self) -> Iterator[list[bytes]]:
        """Yield the ids that are kept, expired ones among them."""
        return self._view.scan(self._shard)

    def is_live(self, packed: bytes) -> bool:
        """Tell whether an entry still counts."""
        return self.meta.log_time <= expires(packed)

    def find(self, identity: bytes) -> bytes | None:
        """Return one entry."""
        return self._view.find(self._shard, identity)
