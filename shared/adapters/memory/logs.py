"""The logs themselves: topics, partitions, records."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import cycle

from shared.clock import Clock
from shared.errors import ConfigurationError, Unavailable
from shared.log import Outgoing, Reached, Record, TopicPartition
from shared.topics import TopicSpec

# What stands in a log where a transaction ended: no reader sees it, and it takes an offset.
END_OF_TRANSACTION = Record("", -1, -1, 0, None, None)


class Log:
    """One partition: the records from `low` on."""

    __slots__ = ("low", "records")

    def __init__(self) -> None:
        self.low = 0
        self.records: list[Record] = []

    @property
    def high(self) -> int:
        """Return the next offset to be written."""
        return self.low + len(self.records)

    def read(self, offset: int, count: int) -> tuple[list[Record], int]:
        """Return up to `count` records from `offset` on, and the offset to go on from."""
        start = offset - self.low
        found = self.records[start : start + count]
        return [record for record in found if record.offset >= 0], offset + len(found)


class MemoryLogs:
    """All logs of one process, without clients. While `away` is set, they answer as a broker that is down."""

    def __init__(self, clock: Clock) -> None:
        self.away = False
        self._clock = clock
        self._topics: dict[str, list[Log]] = {}
        self._incarnations: dict[str, int] = {}
        self.reached: dict[TopicPartition, Reached] = {}  # as the readers at explicit positions have told
        self._keyless = cycle(range(1 << 16))
        self._opened: Counter[str] = Counter()  # names of exclusive writers

    def create(self, *specs: TopicSpec) -> None:
        """Create the topics that do not exist yet."""
        for spec in specs:
            if spec.name not in self._topics:
                self._topics[spec.name] = [Log() for _ in range(spec.partitions)]
                self._incarnations[spec.name] = self._incarnations.get(spec.name, 0) + 1

    def delete(self, topic: str) -> None:
        """Delete a topic and its records; created again it has another id."""
        self.logs(topic)
        del self._topics[topic]

    def topic_id(self, topic: str) -> str:
        """Return what tells a topic from one that had the same name before."""
        self.logs(topic)
        return f"{topic}#{self._incarnations[topic]}"

    def accepts(self, message: Outgoing) -> None:
        """Refuse a record whose topic or partition does not exist; a client knows that during an outage too."""
        logs = self._existing(message.topic)
        if message.partition is not None:
            _numbered(logs, TopicPartition(message.topic, message.partition))

    def append(self, message: Outgoing) -> Record:
        """Write one record now, as an acknowledged producer would have; returns it as it will be read."""
        logs = self.logs(message.topic)
        number = self._partition(message, len(logs))
        log = self.log(TopicPartition(message.topic, number))
        record = Record(
            topic=message.topic,
            partition=number,
            offset=log.high,
            timestamp_ms=self._clock.now_ms() if message.timestamp_ms is None else message.timestamp_ms,
            key=message.key,
            value=message.value,
            headers=message.headers,
        )
        log.records.append(record)
        return record

    def append_together(self, messages: Sequence[Outgoing]) -> None:
        """Write records as one transaction."""
        for source in sorted({self.append(message).source for message in messages}):
            self.log(source).records.append(END_OF_TRANSACTION)

    def open(self, name: str) -> int:
        """Return the number of an exclusive writer, which is the newest of its name from now on."""
        if self.away:
            raise Unavailable("the log is away")
        self._opened[name] += 1
        return self._opened[name]

    def is_newest(self, name: str, number: int) -> bool:
        """Return whether nobody has opened a name since."""
        return self._opened[name] == number

    def records(self, topic: str, partition: int | None = None) -> list[Record]:
        """Return the records that are kept, of one partition or of all in partition order."""
        logs = self.logs(topic) if partition is None else [self.logs(topic)[partition]]
        return [record for log in logs for record in log.records if record.offset >= 0]

    def truncate(self, source: TopicPartition, offset: int) -> None:
        """Lose the records from `offset` on, as an unclean leader election does."""
        log = self.log(source)
        del log.records[offset - log.low :]

    def delete_records(self, source: TopicPartition, low: int) -> None:
        """Drop the records below `low`, as retention does."""
        log = self.log(source)
        del log.records[: low - log.low]
        log.low = low

    def logs(self, topic: str) -> list[Log]:
        """Return the partitions of a topic; what readers and writers of this module work on."""
        if self.away:
            raise Unavailable("the log is away")
        return self._existing(topic)

    def log(self, source: TopicPartition) -> Log:
        """Return one partition."""
        return _numbered(self.logs(source.topic), source)

    def high(self, source: TopicPartition) -> int:
        """Return the next offset to be written; a client remembers it during an outage."""
        return _numbered(self._existing(source.topic), source).high

    def partitions(self, topic: str) -> int:
        """Return how many partitions `topic` has; 0 when it does not exist."""
        if self.away:
            raise Unavailable("the log is away")
        return len(self._topics.get(topic, ()))

    def _existing(self, topic: str) -> list[Log]:
        if topic not in self._topics:
            raise ConfigurationError(f"topic {topic}", "does not exist; create it with `driftline topics create`")
        return self._topics[topic]

    def _partition(self, message: Outgoing, partitions: int) -> int:
        if message.partition is not None:
            return message.partition
        if message.key is None:
            return next(self._keyless) % partitions
        return zlib.crc32(message.key) % partitions


def _numbered(logs: list[Log], source: TopicPartition) -> Log:
    if not 0 <= source.partition < len(logs):
        raise ConfigurationError(f"topic {source.topic}", f"has {len(logs)} partitions, no {source.partition}")
    return logs[source.partition]
