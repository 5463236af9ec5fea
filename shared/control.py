"""Reading whole logs over the `Reader` port, above all `driftline.control`."""

from __future__ import annotations

from collections.abc import Iterator

from shared.definition import Catalogue
from shared.errors import ConfigurationError
from shared.log import Reader, Record, TopicPartition
from shared.topics import Topics

BATCH = 500
POLL_SECONDS = 0.5


def sources(reader: Reader, topic: str) -> list[TopicPartition]:
    """Return the logs of a topic.

    Raises:
        ConfigurationError: the topic does not exist.
    """
    found = [TopicPartition(topic, number) for number in range(reader.partitions(topic))]
    if not found:
        raise ConfigurationError(f"topic {topic}", "does not exist; create it with `driftline topics create`")
    return found


def read_whole(reader: Reader, topic: str) -> Iterator[Record]:
    """Yield every record that `topic` holds now, each partition in order.

    The last record of a compacted log is never compacted away, so its end is always reached.
    """
    bounds = {source: reader.bounds(source) for source in sources(reader, topic)}
    pending = {source: high for source, (low, high) in bounds.items() if low < high}
    reader.assign({source: bounds[source].low for source in pending})
    while pending:
        for record in reader.poll(BATCH, POLL_SECONDS):
            end = pending.get(record.source)
            if end is None or record.offset >= end:
                continue
            yield record
            if record.offset + 1 >= end:
                del pending[record.source]


def read_catalogue(reader: Reader, topics: Topics) -> Catalogue:
    """Return what `driftline.control` says now."""
    catalogue = Catalogue()
    for record in read_whole(reader, topics.control):
        catalogue.absorb(record)
    return catalogue
