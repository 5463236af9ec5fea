"""Rows wait for company: a block of one row costs as much as a full one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from shared.events.block import MAX_BYTES, Block, BlockKind, encode
from shared.ingest.intake import Admitted
from shared.ingest.models import WatchedModel
from shared.ingest.offsets import SourceOffsets
from shared.ingest.rows import Rows, cut
from shared.log import Outgoing
from shared.topics import Topics

MAX_WAITING_BYTES = 4 * MAX_BYTES  # of raw payload in one open block; columns are smaller than JSON


@dataclass(slots=True, eq=False)
class OpenBlock:
    """Rows of one kind, model, version, definition and partition, in order of arrival."""

    model: WatchedModel
    model_version: str
    partition: int
    opened: float  # monotonic seconds
    parts: list[Rows] = field(default_factory=list)
    owners: list[SourceOffsets] = field(default_factory=list)  # of the parts; empty where nothing is committed
    rows: int = 0
    payload_bytes: int = 0

    @property
    def is_full(self) -> bool:
        """Return whether the block must be sent before another row."""
        return self.rows >= self.model.codec.max_rows or self.payload_bytes >= MAX_WAITING_BYTES

    def add(self, rows: Rows) -> int:
        """Take the first of `rows`, until the block is full; return how many."""
        fitting = min(self.model.codec.max_rows - self.rows, len(rows))
        taken, total = fitting, self.payload_bytes + sum(rows.sizes[:fitting])
        if total > MAX_WAITING_BYTES:
            sizes = list(accumulate(rows.sizes[:fitting], initial=self.payload_bytes))
            taken = min(bisect_left(sizes, MAX_WAITING_BYTES), fitting)
            total = sizes[taken]
        self.parts.append(rows.part(0, taken))
        self.rows += taken
        self.payload_bytes = total
        return taken

    def drop_lost(self) -> None:
        """Drop the rows of logs that are no longer ours: their new owner reads them again."""
        kept = [(rows, owner) for rows, owner in zip(self.parts, self.owners, strict=True) if not owner.is_lost]
        self.parts, self.owners = [rows for rows, _ in kept], [owner for _, owner in kept]
        self.rows = sum(map(len, self.parts))


class Gathering:
    """The blocks that are open in one consumer."""

    def __init__(self, linger_ms: int) -> None:
        self._linger = linger_ms / 1000
        self._open: dict[tuple[WatchedModel, str, int], OpenBlock] = {}

    @property
    def payload_bytes(self) -> int:
        """Return the raw size of all rows that wait."""
        return sum(block.payload_bytes for block in self._open.values())

    def add(self, admitted: Admitted, owner: SourceOffsets, now: float) -> list[OpenBlock]:
        """Put rows into their block and those that follow it; return the blocks that are full."""
        key = (admitted.model, admitted.model_version, admitted.partition)
        full: list[OpenBlock] = []
        added = 0
        while added < len(admitted.rows):
            block = self._open.get(key)
            if block is None:
                block = self._open[key] = OpenBlock(*key, now)
            added += block.add(admitted.rows.part(added, len(admitted.rows)))
            block.owners.append(owner)
            if block.is_full:
                full.append(self._open.pop(key))
        return full

    def due(self, now: float) -> list[OpenBlock]:
        """Return the blocks that have waited for `linger_ms`, oldest first; they are no longer open."""
        keys = [key for key, block in self._open.items() if now - block.opened >= self._linger]
        return [self._open.pop(key) for key in keys]

    def close(self) -> list[OpenBlock]:
        """Return all open blocks, oldest first; none is open any longer."""
        blocks, self._open = list(self._open.values()), {}
        return blocks

    def wait(self, now: float) -> float | None:
        """Return the seconds until a block is due; None while none is open."""
        oldest = next(iter(self._open.values()), None)
        return None if oldest is None else max(0.0, oldest.opened + self._linger - now)

    def drop_lost(self) -> None:
        """Drop the rows in hand of logs that are no longer ours."""
        for key, block in list(self._open.items()):
            block.drop_lost()
            if not block.parts:
                del self._open[key]


def sealed(
    kind: BlockKind, topics: Topics, block: OpenBlock, *, log_time: bool = False
) -> Iterator[tuple[Outgoing, int, int]]:
    """Yield the records that a block becomes, each with the rows that it holds: the first one, and the one after.

    One record, but for rows of unusual size: a record above MAX_BYTES is cut in halves down to single rows. Its log
    time, where the log has none of its own, is the newest timestamp among its source records.
    """
    yield from _sealed(kind, topics, block, 0, block.rows, log_time=log_time)


def _sealed(
    kind: BlockKind, topics: Topics, block: OpenBlock, start: int, stop: int, *, log_time: bool
) -> Iterator[tuple[Outgoing, int, int]]:
    parts = cut(block.parts, start, stop)
    batch = block.model.codec.batch(parts, log_time=log_time)
    value, headers = encode(Block(kind, block.model.name, block.model_version, block.model.stamp, batch))
    if len(value) > MAX_BYTES and stop - start > 1:
        middle = (start + stop) // 2
        yield from _sealed(kind, topics, block, start, middle, log_time=log_time)
        yield from _sealed(kind, topics, block, middle, stop, log_time=log_time)
        return
    message = Outgoing(
        topic=topics.halves,
        value=value,
        partition=block.partition,
        headers=headers,
        timestamp_ms=max([int(rows.log_ts_ms.max()) for rows in parts]),
    )
    yield message, start, stop
