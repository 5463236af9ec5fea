"""All checkpoints that `driftline.checkpoints` still holds, also those that were replaced and are not yet compacted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from services.detector.checkpoint_slots import Slot, Slots
from services.detector.checkpoints import Checkpoint
from services.detector.sealing import Seal
from shared.history import history
from shared.log import Reader, TopicPartition

MOST = 1_000  # of one partition, the newest; two days of them


class LoggedCheckpoint(NamedTuple):
    """A checkpoint that was whole when its manifest was read."""

    position: int
    written_ms: int
    read: Callable[[], Checkpoint]  # raises like `Slot.read` and `Seal.open`


class CheckpointHistory:
    """Reads the topic, and writes nothing."""

    def __init__(self, open_reader: Callable[[], Reader], topic: str, installation: str, seal: Seal) -> None:
        self._open_reader, self._topic = open_reader, topic
        self._installation, self._seal = installation, seal

    def of(self, partition: int) -> list[LoggedCheckpoint]:
        """Return the checkpoints of a partition of the observations as they were written; none from before a `drop`."""
        source, slots = TopicPartition(self._topic, partition), Slots(self._installation)
        found: deque[LoggedCheckpoint] = deque(maxlen=MOST)
        with closing(self._open_reader()) as reader:
            low, high = reader.bounds(source)
            for record in history(reader, source, low, high):
                slot = slots.take(record)
                if slot is None:
                    continue
                if slot.manifest is None and slot.is_legible:
                    found.clear()
                elif slot.manifest is not None and slot.is_whole:
                    found.append(self._logged(source, slot, slot.manifest.position, record.timestamp_ms))
        return list(found)

    def _logged(self, source: TopicPartition, slot: Slot, position: int, written_ms: int) -> LoggedCheckpoint:
        kept = Slot(slot.manifest, chunks=dict(slot.chunks))

        def read() -> Checkpoint:
            return self._seal.open(source.partition, kept.read(self._open_reader, source))

        return LoggedCheckpoint(position, written_ms, read)
