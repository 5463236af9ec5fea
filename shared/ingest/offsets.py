"""What may be committed: never past a row whose block or dead letter is not acknowledged yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from itertools import repeat

from shared.log import TopicPartition


class SourceOffsets:
    """The offsets in hand of one source log."""

    __slots__ = ("_committed", "_next", "_pending", "is_lost")

    def __init__(self) -> None:
        self._pending: dict[int, None] = {}  # taken and not settled, ascending
        self._next = self._committed = -1
        self.is_lost = False

    def take(self, offsets: Sequence[int]) -> None:
        """Take records in hand, in ascending order; from an offset that was read before on, they are read again."""
        if offsets[0] < self._next:
            self._pending = {known: None for known in self._pending if known < offsets[0]}
        self._pending.update(dict.fromkeys(offsets))
        self._next = offsets[-1] + 1

    def give_back(self, offset: int) -> None:
        """Let go of the records from `offset` on, which will be taken again."""
        self._pending = {known: None for known in self._pending if known < offset}
        self._next = offset

    def settle(self, offsets: Iterable[int]) -> None:
        """Let go of records whose outcome is acknowledged; twice is once."""
        deque(map(self._pending.pop, offsets, repeat(None)), maxlen=0)  # a loop without a Python step for each

    @property
    def pending(self) -> int:
        """Return how many records are in hand."""
        return len(self._pending)

    @property
    def committed(self) -> int | None:
        """Return the offset that `advance` told of last."""
        return None if self._committed < 0 else self._committed

    def advance(self) -> int | None:
        """Return the next-to-read offset to commit, if it moved since the last call."""
        oldest = next(iter(self._pending), self._next)
        if oldest <= self._committed or self._next < 0:
            return None
        self._committed = oldest
        return oldest


class OffsetTracker:
    """`SourceOffsets` of every log that is ours."""

    def __init__(self) -> None:
        self._sources: dict[TopicPartition, SourceOffsets] = {}

    def source(self, source: TopicPartition) -> SourceOffsets:
        """Return the offsets of one log."""
        found = self._sources.get(source)
        if found is None:
            found = self._sources[source] = SourceOffsets()
        return found

    def lose(self, sources: Collection[TopicPartition]) -> None:
        """Forget logs that are no longer ours; what is in hand of them is marked lost, late outcomes change nothing."""
        for source in sources:
            lost = self._sources.pop(source, None)
            if lost is not None:
                lost.is_lost = True

    def committed(self) -> dict[TopicPartition, int]:
        """Return the next-to-read offsets that `advance` has told of."""
        known = {source: offsets.committed for source, offsets in self._sources.items()}
        return {source: offset for source, offset in known.items() if offset is not None}

    @property
    def in_hand(self) -> int:
        """Return how many records are taken and not settled."""
        return sum(offsets.pending for offsets in self._sources.values())

    def advance(self) -> dict[TopicPartition, int]:
        """Return the next-to-read offsets that moved since the last call."""
        moved = {source: offsets.advance() for source, offsets in self._sources.items()}
        return {source: offset for source, offset in moved.items() if offset is not None}
