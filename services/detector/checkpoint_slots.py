"""The two slots of a partition of `driftline.checkpoints`, as records fill them: chunks, then a manifest of these."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from shared.errors import Corrupt
from shared.history import history
from shared.log import Reader, Record, TopicPartition
from shared.unreadable import UNREADABLE

MAX_CHUNKS = 2_048
SLOTS = 2
MANIFEST = "manifest"


class Replaced(Corrupt):
    """Chunks are another checkpoint's by now."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot must hold; written when it does."""

    position: int
    size: int
    chunks: list[str]  # their digests, in order


@dataclass(slots=True)
class Slot:
    """What was read of a slot: its newest manifest, and where its newest chunks are."""

    manifest: Manifest | None = None
    is_legible: bool = True  # whether what stands for the manifest is one
    chunks: dict[int, tuple[int, str]] = field(default_factory=dict)  # offset and digest by number

    @property
    def is_whole(self) -> bool:
        """Tell whether every chunk is there that the manifest names."""
        if self.manifest is None:
            return False
        digests = [self.chunks.get(number, (0, ""))[1] for number in range(len(self.manifest.chunks))]
        return digests == self.manifest.chunks

    def read(self, open_reader: Callable[[], Reader], source: TopicPartition) -> bytes:
        """Return the sealed checkpoint.

        Raises:
            Corrupt: it is not whole, or not any more.
        """
        if self.manifest is None or not self.is_whole:
            raise Corrupt("chunks are missing, or of another checkpoint")
        offsets = {self.chunks[number][0]: number for number in range(len(self.manifest.chunks))}
        chunks: dict[int, bytes] = {}
        with closing(open_reader()) as reader:
            for record in history(reader, source, min(offsets, default=0), max(offsets, default=-1) + 1):
                if record.offset in offsets:
                    chunks[offsets[record.offset]] = record.value or b""
        if [chunk_digest(chunks.get(number, b"")) for number in range(len(offsets))] != self.manifest.chunks:
            raise Replaced("chunks were replaced while it was read")
        return b"".join(chunks[number] for number in range(len(offsets)))


@dataclass(slots=True)
class Slots:
    """The slots of one installation in one partition, up to the record taken last."""

    installation: str
    each: list[Slot] = field(default_factory=lambda: [Slot() for _ in range(SLOTS)])

    def take(self, record: Record) -> Slot | None:
        """Take the next record; return its slot if it is a manifest, or takes one away."""
        installation, _, rest = (record.key or b"").decode("utf-8", "replace").partition("/")
        number, _, name = rest.partition("/")
        if installation != self.installation or number not in {str(slot) for slot in range(SLOTS)}:
            return None
        slot = self.each[int(number)]
        if name == MANIFEST:
            slot.manifest = _manifest(record.value)
            slot.is_legible = slot.manifest is not None or record.value is None
            return slot
        if name.isdecimal() and int(name) < MAX_CHUNKS:
            slot.chunks.pop(int(name), None)
            if record.value is not None:
                slot.chunks[int(name)] = record.offset, chunk_digest(record.value)
        return None


def chunk_digest(chunk: bytes) -> str:
    """Return what a manifest says of a chunk."""
    return hashlib.blake2b(chunk, digest_size=16).hexdigest()


def _manifest(value: bytes | None) -> Manifest | None:
    try:
        return msgspec.json.decode(value or b"", type=Manifest)
    except UNREADABLE:
        return None
