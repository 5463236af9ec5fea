"""Reading again what a host has passed: one log between two offsets."""

from __future__ import annotations

from collections.abc import Iterator

from shared.log import Reader, Record, TopicPartition

POLL_RECORDS, POLL_SECONDS = 2_000, 1.0


def history(reader: Reader, source: TopicPartition, start: int, end: int) -> Iterator[Record]:
    """Yield the records that are kept from offset `start` and below `end`; the reader is used for nothing else."""
    if start >= end:
        return
    bounds = reader.bounds(source)
    offset, end = max(start, bounds.low), min(end, bounds.high)
    if offset < end:
        reader.assign({source: offset})
    while offset < end:
        for record in reader.poll(POLL_RECORDS, POLL_SECONDS):
            if record.offset < end:
                yield record
        offset = reader.position(source)
    reader.assign({})
