"""Checkpoints in memory, for `backtest` and tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from services.detector.checkpoints import Candidate


class MemoryCheckpoints:
    """Keeps checkpoints as long as the object lives."""

    name = "memory"

    def __init__(self) -> None:
        self.kept: dict[int, tuple[int, bytes]] = {}

    def candidates(self, partition: int) -> Sequence[Candidate]:
        """Return the newest checkpoint."""
        if partition not in self.kept:
            return []
        position, sealed = self.kept[partition]
        return [Candidate(position, partial(bytes, sealed))]

    def put_if_newer(self, partition: int, position: int, sealed: bytes, over: int | None = None) -> bool:
        """Keep `sealed` unless a newer one is there."""
        kept, _ = self.kept.get(partition, (position, b""))
        if kept > position and kept != over:
            return False
        self.kept[partition] = position, sealed
        return True

    def drop(self, partition: int) -> None:
        """Forget a partition."""
        self.kept.pop(partition, None)
