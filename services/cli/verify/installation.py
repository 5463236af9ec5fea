"""What a verification reads: logs at explicit offsets, the view, the checkpoints, and what consumers have committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.detector.checkpoint_history import CheckpointHistory
from services.detector.keeping import Keeping
from services.joiner.view import View
from shared.definition import Catalogue
from shared.history import history
from shared.identity import IdKey
from shared.log import Bounds, Reader, Record, TopicPartition
from shared.topics import Topics

TOLD_EVERY = 100  # records between two tellings


class Meter(Protocol):
    """Shows how far a verification is."""

    def begin(self, what: str, records: int) -> None:
        """Take that `records` are about to be read, for `what`."""
        ...

    def read(self, records: int) -> None:
        """Take that so many more were read."""
        ...


class Silence:
    """Nobody watches."""

    def begin(self, what: str, records: int) -> None:
        """Say nothing."""

    def read(self, records: int) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation, running or not. Nothing of it is changed."""

    topics: Topics
    name: str
    key: IdKey
    heartbeat_ms: int
    code_version: str
    catalogue: Catalogue
    open_reader: Callable[[], Reader]
    view: View
    keeping: Keeping
    logged: CheckpointHistory
    committed: Callable[[str, Iterable[TopicPartition]], Mapping[TopicPartition, int]]  # where a service goes on
    meter: Meter

    def logs(self, topic: str, reader: Reader) -> dict[TopicPartition, Bounds]:
        """Return the logs of a topic with the offsets that they hold now."""
        sources = (TopicPartition(topic, number) for number in range(reader.partitions(topic)))
        return {source: reader.bounds(source) for source in sources}

    def metered(self, reader: Reader, source: TopicPartition, start: int, end: int, what: str) -> Iterator[Record]:
        """Yield what is kept of a log from `start` to before `end`, telling the meter of it."""
        self.meter.begin(f"{what} {source.topic}-{source.partition}", max(end - start, 0))
        told = start
        for record in history(reader, source, start, end):
            yield record
            if record.offset + 1 - told >= TOLD_EVERY:
                self.meter.read(record.offset + 1 - told)
                told = record.offset + 1
        self.meter.read(max(end - told, 0))
