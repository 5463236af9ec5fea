"""That a log is not read any more, or again: said in `driftline.halves` itself, since nothing else may tell a fold."""

from __future__ import annotations

import msgspec

from shared.errors import Corrupt
from shared.log import TopicPartition
from shared.unreadable import UNREADABLE


class Halt(msgspec.Struct, frozen=True):
    """A consumer has stopped reading one input log, or goes on; it travels in the header `halt` of a tick.

    The last one of a log stands, until a row that came from the log at `offset` or after it: then it is read again.
    """

    topic: str
    partition: int
    offset: int  # the first record that is not read
    why: str
    is_over: bool = False

    @property
    def source(self) -> TopicPartition:
        """Return the log."""
        return TopicPartition(self.topic, self.partition)

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition} is not read from offset {self.offset} on: {self.why}"


def encode_halt(halt: Halt) -> bytes:
    """Return the header's content."""
    return msgspec.json.encode(halt)


def decode_halt(content: bytes) -> Halt:
    """Return the halt in a header.

    Raises:
        Corrupt: it is none.
    """
    try:
        return msgspec.json.decode(content, type=Halt)
    except UNREADABLE as exc:
        raise Corrupt(f"not a halt: {exc}") from exc
