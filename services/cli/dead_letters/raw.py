"""Records of the input topics by their coordinates, as far as they are still kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from shared.events.dead_letter import DeadLetter
from shared.history import history
from shared.log import Reader, Record, TopicPartition

NEAR = 1_000  # offsets that are rather read over than jumped


def raw_records(reader: Reader, source: TopicPartition, offsets: Sequence[int]) -> Iterator[Record]:
    """Yield those of the records at ascending `offsets` that the log still has."""
    if source.partition >= reader.partitions(source.topic):
        return
    start = 0
    for place in range(1, len(offsets) + 1):
        if place < len(offsets) and offsets[place] - offsets[place - 1] <= NEAR:
            continue
        wanted = frozenset(offsets[start:place])
        for record in history(reader, source, offsets[start], offsets[place - 1] + 1):
            if record.offset in wanted:
                yield record
        start = place


def is_refused(letter: DeadLetter, record: Record) -> bool:
    """Return whether a record is the one that was refused: a topic that was created again has others."""
    return hashlib.blake2b(record.value or b"", digest_size=16).hexdigest() == letter.digest
