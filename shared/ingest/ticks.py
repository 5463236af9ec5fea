"""Ticks: log time for partitions of `driftline.halves` where nothing happens."""

from __future__ import annotations

from shared.events.block import Block, BlockKind, encode
from shared.log import Outgoing
from shared.topics import Topics

SILENCE_SECONDS = 5.0


class Ticks:
    """Knows which partitions this process has left silent; a tick too many, from another instance, harms nobody."""

    def __init__(self, topics: Topics, now: float) -> None:
        self._topic = topics.halves
        self._wrote = [now] * topics.halves_partitions

    def wrote(self, partition: int, now: float) -> None:
        """Take note of a record."""
        self._wrote[partition] = now

    def due(self, now: float) -> list[Outgoing]:
        """Return a tick for each partition that had nothing for SILENCE_SECONDS."""
        silent = [partition for partition, last in enumerate(self._wrote) if now - last >= SILENCE_SECONDS]
        if not silent:
            return []
        for partition in silent:
            self.wrote(partition, now)
        value, headers = encode(Block(BlockKind.TICK))
        return [Outgoing(self._topic, value, partition=partition, headers=headers) for partition in silent]
