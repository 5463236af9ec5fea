"""Following a log as it grows."""

from __future__ import annotations

from collections.abc import Iterator

from shared.clock import Clock
from shared.control import BATCH, POLL_SECONDS, sources
from shared.log import Reader, Record


def following(reader: Reader, topic: str, clock: Clock, patience: float | None) -> Iterator[Record]:
    """Yield records from the first one kept and go on as they come, until nothing came for `patience` seconds."""
    reader.assign({source: reader.bounds(source).low for source in sources(reader, topic)})
    heard = clock.monotonic()
    while patience is None or clock.monotonic() - heard < patience:
        records = reader.poll(BATCH, POLL_SECONDS)
        if records:
            yield from records
            heard = clock.monotonic()
