"""Following a log as it grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shared.clock import Clock
from shared.control import BATCH, POLL_SECONDS, sources
from shared.log import Reader, Record

Render = Callable[[Record], Iterator[bytes]]


def following(reader: Reader, topic: str, render: Render, clock: Clock, patience: float | None) -> Iterator[bytes]:
    """Yield the lines of a log from the first record kept, and go on, until none came for `patience` seconds.

    Records without a line do not count: ticks come for ever.
    """
    reader.assign({source: reader.bounds(source).low for source in sources(reader, topic)})
    heard = clock.monotonic()
    while patience is None or clock.monotonic() - heard < patience:
        for record in reader.poll(BATCH, POLL_SECONDS):
            for line in render(record):
                yield line
                heard = clock.monotonic()
