"""Checkpoints in `driftline.checkpoints`, which survive an empty Redis: chunks in one of two slots, then a manifest.

Keys are `<installation>/<slot>/<number>` and `<installation>/<slot>/manifest`, so that compaction leaves one checkpoint
a slot. A manifest counts as long as its slot holds every chunk that it names. The slot that is overwritten is never the
one that holds the newest checkpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import msgspec

from services.detector.checkpoints import Candidate
from shared.errors import Corrupt
from shared.failpoints import Failpoints
from shared.history import history
from shared.log import Outgoing, Reader, Record, TopicPartition, Writer

CHUNK_BYTES = 512 << 10
MAX_CHUNKS = 2_048
SLOTS = 2
_MANIFEST = "manifest"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot must hold; written when it does."""

    position: int
    size: int
    chunks: list[str]  # their digests, in order


@dataclass(slots=True)
class _Slot:
    """What was read of a slot: its newest manifest, and where its newest chunks are."""

    manifest: Manifest | None = None
    is_legible: bool = True  # whether what stands for the manifest is one
    chunks: dict[int, tuple[int, str]] = field(default_factory=dict)  # offset and digest by number

    @property
    def is_whole(self) -> bool:
        if self.manifest is None:
            return False
        digests = [self.chunks.get(number, (0, ""))[1] for number in range(len(self.manifest.chunks))]
        return digests == self.manifest.chunks


@dataclass(slots=True)
class _Known:
    """What was read of a partition, up to an offset."""

    end: int = 0
    slots: list[_Slot] = field(default_factory=lambda: [_Slot() for _ in range(SLOTS)])

    def newest(self) -> list[tuple[int, _Slot]]:
        """Return the slots that were written, with their positions, newest first."""
        told = [(slot.manifest.position, slot) for slot in self.slots if slot.manifest is not None]
        told += [(-1, slot) for slot in self.slots if not slot.is_legible]
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
        return [Candidate(position, partial(self._read, partition, slot)) for position, slot in newest]

    def put_if_newer(self, partition: int, position: int, sealed: bytes, over: int | None = None) -> bool:
        """Write the chunks, wait until they are safe, then the manifest."""
        known = self._learn(partition)
        newest, kept = next(((at, slot) for at, slot in known.newest() if slot.is_whole and at != over), (-1, None))
        if newest > position:
            return False
        number = next(number for number, slot in enumerate(known.slots) if slot is not kept)
        chunks = [sealed[at : at + self._chunk_bytes] for at in range(0, len(sealed), self._chunk_bytes)]
        manifest = Manifest(position=position, size=len(sealed), chunks=[_digest(chunk) for chunk in chunks])
        self._write(partition, number, chunks, msgspec.json.encode(manifest))
        for superfluous in sorted(set(known.slots[number].chunks) - set(range(len(chunks)))):
            self._send(partition, number, str(superfluous), None)
        return True

    def drop(self, partition: int) -> None:
        """Forget a partition: the manifests first, so that no slot is taken for whole."""
        known = self._learn(partition)
        for number in range(SLOTS):
            self._send(partition, number, _MANIFEST, None)
        self._writer.flush()
        for number, slot in enumerate(known.slots):
            for chunk in sorted(slot.chunks):
                self._send(partition, number, str(chunk), None)
        self._writer.flush()

    def _write(self, partition: int, slot: int, chunks: Sequence[bytes], manifest: bytes) -> None:
        for number, chunk in enumerate(chunks):
            self._send(partition, slot, str(number), chunk)
            self._writer.flush()
            self._failpoints.hit("detector.between_chunks")
        self._failpoints.hit("detector.before_manifest")
        self._send(partition, slot, _MANIFEST, manifest)
        self._writer.flush()

    def _send(self, partition: int, slot: int, name: str, value: bytes | None) -> None:
        key = f"{self._installation}/{slot}/{name}".encode()
        self._writer.send(Outgoing(self._topic, value, key, partition))

    def _learn(self, partition: int) -> _Known:
        """Read on to the end of a partition."""
        source = TopicPartition(self._topic, partition)
        with closing(self._open_reader()) as reader:
            low, high = reader.bounds(source)
            known = self._known.get(partition, _Known())
            if not low <= known.end <= high:
                known = _Known(low)  # the first time; or what was read is not there any more
            for record in history(reader, source, known.end, high):
                self._take(known, record)
            known.end = high
        self._known[partition] = known
        return known

    def _take(self, known: _Known, record: Record) -> None:
        installation, _, rest = (record.key or b"").decode("utf-8", "replace").partition("/")
        number, _, name = rest.partition("/")
        if installation != self._installation or number not in {str(slot) for slot in range(SLOTS)}:
            return
        slot = known.slots[int(number)]
        if name == _MANIFEST:
            slot.manifest = _manifest(record.value)
            slot.is_legible = slot.manifest is not None or record.value is None
        elif name.isdecimal() and int(name) < MAX_CHUNKS:
            slot.chunks.pop(int(name), None)
            if record.value is not None:
                slot.chunks[int(name)] = record.offset, _digest(record.value)

    def _read(self, partition: int, slot: _Slot) -> bytes:
        if slot.manifest is None or not slot.is_whole:
            raise Corrupt("chunks are missing, or of another checkpoint")
        offsets = {slot.chunks[number][0]: number for number in range(len(slot.manifest.chunks))}
        chunks: dict[int, bytes] = {}
        with closing(self._open_reader()) as reader:
            source = TopicPartition(self._topic, partition)
            for record in history(reader, source, min(offsets, default=0), max(offsets, default=-1) + 1):
                if record.offset in offsets:
                    chunks[offsets[record.offset]] = record.value or b""
        if [_digest(chunks.get(number, b"")) for number in range(len(offsets))] != slot.manifest.chunks:
            raise Corrupt("chunks were replaced while it was read")
        return b"".join(chunks[number] for number in range(len(offsets)))


def _manifest(value: bytes | None) -> Manifest | None:
    try:
        return msgspec.json.decode(value or b"", type=Manifest)
    except msgspec.MsgspecError:
        return None


def _digest(chunk: bytes) -> str:
    return hashlib.blake2b(chunk, digest_size=16).hexdigest()
