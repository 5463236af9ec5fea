"""Reading whole logs over the `Reader` port, above all `driftline.control`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from shared.clock import Clock
from shared.definition import MAX_DEFINITIONS, Catalogue
from shared.errors import ConfigurationError
from shared.log import Reader, Record, TopicPartition
from shared.measures import Measure, bounded, number
from shared.topics import Topics

BATCH = 500
POLL_SECONDS = 0.5
FOLLOW_SECONDS = 1.0


def sources(reader: Reader, topic: str) -> list[TopicPartition]:
    """Return the logs of a topic.

    Raises:
        ConfigurationError: the topic does not exist.
    """
    found = [TopicPartition(topic, number) for number in range(reader.partitions(topic))]
    if not found:
        raise ConfigurationError(f"topic {topic}", "does not exist; create it with `driftline topics create`")
    return found


def read_whole(
    reader: Reader,
    topic: str,
    progress: Callable[[float], None] | None = None,
    begin: Mapping[TopicPartition, int] | None = None,
) -> Iterator[Record]:
    """Yield every record that `topic` holds now, each partition in order.

    progress: told the share of offsets that are read, now and then. begin: where to begin; else at the first kept.
    """
    bounds = {source: reader.bounds(source) for source in sources(reader, topic)}
    first = {source: max(low, (begin or {}).get(source, low)) for source, (low, _) in bounds.items()}
    pending = {source: high for source, (_, high) in bounds.items() if first[source] < high}
    position = {source: first[source] for source in pending}
    total, begun = sum(pending.values()) - sum(position.values()), sum(position.values())
    reader.assign(position)
    while pending:
        if progress is not None:
            progress((sum(position.values()) - begun) / total)
        for record in reader.poll(BATCH, POLL_SECONDS):
            end = pending.get(record.source)
            if end is None or record.offset >= end:
                continue
            yield record
        position = {source: reader.position(source) for source in position}
        pending = {source: end for source, end in pending.items() if position[source] < end}


def catalogue_measures(catalogue: Catalogue) -> Iterator[Measure]:
    """Yield how many definitions a service knows."""
    yield from bounded(
        "control_definitions",
        "Definitions that are known of the model of which most are; older ones give way.",
        {(): catalogue.fullest},
        MAX_DEFINITIONS,
    )
    yield number("control_definitions_dropped_total", "Definitions that gave way to newer ones.", catalogue.dropped)


def read_catalogue(reader: Reader, topics: Topics) -> Catalogue:
    """Return what `driftline.control` says now."""
    catalogue = Catalogue()
    for record in read_whole(reader, topics.control):
        catalogue.absorb(record)
    return catalogue


class FollowedControl:
    """What `driftline.control` says, kept up to date by `follow`; the reader is used for nothing else.

    Raises:
        ConfigurationError: the topic does not exist.
    """

    def __init__(self, reader: Reader, topics: Topics, clock: Clock) -> None:
        self.catalogue = Catalogue()
        self._reader = reader
        self._clock = clock
        bounds = {source: reader.bounds(source) for source in sources(reader, topics.control)}
        reader.assign({source: low for source, (low, _) in bounds.items()})
        pending = {source: high for source, (low, high) in bounds.items() if low < high}
        while pending:
            for record in self._absorbed(POLL_SECONDS):
                if record.offset + 1 >= pending.get(record.source, 0):
                    pending.pop(record.source, None)
        self._looked_at = clock.monotonic()

    def follow(self) -> None:
        """Take up what was written since; looks once a second, and never waits."""
        if self._clock.monotonic() - self._looked_at < FOLLOW_SECONDS:
            return
        self._looked_at = self._clock.monotonic()
        while self._absorbed(0.0):
            pass

    def close(self) -> None:
        """Leave; idempotent."""
        self._reader.close()

    def _absorbed(self, timeout: float) -> Sequence[Record]:
        records = self._reader.poll(BATCH, timeout)
        for record in records:
            self.catalogue.absorb(record)
        return records
