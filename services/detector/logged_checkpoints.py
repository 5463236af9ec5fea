"""Checkpoints in `driftline.checkpoints`, which survive an empty Redis: chunks in one of two slots, then a manifest.

Keys are `<installation>/<slot>/<number>` and `<installation>/<slot>/manifest`, so that compaction leaves one checkpoint
a slot. A manifest counts as long as its slot holds every chunk that it names. The slot that is overwritten is never the
one that holds the newest checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import msgspec

from services.detector.checkpoint_slots import MANIFEST, SLOTS, Manifest, Slot, Slots, chunk_digest
from services.detector.checkpoints import Candidate
from shared.failpoints import Failpoints
from shared.history import history
from shared.log import Outgoing, Reader, TopicPartition, Writer

CHUNK_BYTES = 512 << 10


@dataclass(slots=True)
class _Known:
    """What was read of a partition, up to an offset."""

    slots: Slots
    end: int = 0

    def newest(self) -> list[tuple[int, Slot]]:
        """Return the slots that were written, with their positions, newest first."""
        told = [(slot.manifest.position, slot) for slot in self.slots.each if slot.manifest is not None]
        told += [(-1, slot) for slot in self.slots.each if not slot.is_legible]
        return sorted(told, key=lambda one: -one[0])


class LoggedCheckpoints:
    """`Checkpoints` in a compacted topic that has a partition for each of the observations. Reads what is new first."""

    name = "topic"

    def __init__(
        self,
        open_reader: Callable[[], Reader],
        writer: Writer,
        topic: str,
        installation: str,
        *,
        failpoints: Failpoints | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._open_reader = open_reader
        self._writer = writer
        self._topic = topic
        self._installation = installation
        self._failpoints = failpoints or Failpoints()
        self._chunk_bytes = chunk_bytes
        self._known: dict[int, _Known] = {}

    def candidates(self, partition: int) -> Sequence[Candidate]:
        """Return the checkpoints of both slots, newest first."""
        newest = self._learn(partition).newest()
        return [
            Candidate(position, partial(slot.read, self._open_reader, self._source(partition)))
            for position, slot in newest
        ]

    def put_if_newer(self, partition: int, position: int, sealed: bytes, over: int | None = None) -> bool:
        """Write the chunks, wait until they are safe, then the manifest."""
        known = self._learn(partition)
        newest, kept = next(((at, slot) for at, slot in known.newest() if slot.is_whole and at != over), (-1, None))
        if newest > position:
            return False
        number = next(number for number, slot in enumerate(known.slots.each) if slot is not kept)
        chunks = [sealed[at : at + self._chunk_bytes] for at in range(0, len(sealed), self._chunk_bytes)]
        manifest = Manifest(position=position, size=len(sealed), chunks=[chunk_digest(chunk) for chunk in chunks])
        self._write(partition, number, chunks, msgspec.json.encode(manifest))
        for superfluous in sorted(set(known.slots.each[number].chunks) - set(range(len(chunks)))):
            self._send(partition, number, str(superfluous), None)
        return True

    def drop(self, partition: int) -> None:
        """Forget a partition: the manifests first, so that no slot is taken for whole."""
        known = self._learn(partition)
        for number in range(SLOTS):
            self._send(partition, number, MANIFEST, None)
        self._writer.flush()
        for number, slot in enumerate(known.slots.each):
            for chunk in sorted(slot.chunks):
                self._send(partition, number, str(chunk), None)
        self._writer.flush()

    def _write(self, partition: int, slot: int, chunks: Sequence[bytes], manifest: bytes) -> None:
        for number, chunk in enumerate(chunks):
            self._send(partition, slot, str(number), chunk)
            self._writer.flush()
            self._failpoints.hit("detector.between_chunks")
        self._failpoints.hit("detector.before_manifest")
        self._send(partition, slot, MANIFEST, manifest)
        self._writer.flush()

    def _send(self, partition: int, slot: int, name: str, value: bytes | None) -> None:
        key = f"{self._installation}/{slot}/{name}".encode()
        self._writer.send(Outgoing(self._topic, value, key, partition))

    def _learn(self, partition: int) -> _Known:
        """Read on to the end of a partition."""
        source = self._source(partition)
        with closing(self._open_reader()) as reader:
            low, high = reader.bounds(source)
            known = self._known.get(partition, _Known(Slots(self._installation)))
            if not low <= known.end <= high:
                known = _Known(Slots(self._installation), low)  # the first time; or what was read is not there any more
            for record in history(reader, source, known.end, high):
                known.slots.take(record)
            known.end = high
        self._known[partition] = known
        return known

    def _source(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)
