"""The log in process: the same ports as Kafka, one thread, no waiting. `driftline backtest` and the tests run on it.

Where it differs from Kafka, on purpose: log time is the record's own `timestamp_ms` where it is given (a backtest says
what time it was), nothing is compacted or expired, and `poll` returns at once, since nothing can arrive meanwhile.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle

from shared.clock import Clock
from shared.errors import ConfigurationError, LogIdentity, Unavailable, Undelivered
from shared.log import Bounds, Outgoing, Record, TopicPartition
from shared.topics import TopicSpec

OnAck = Callable[[int, int], None]


class ManualClock:
    """A clock that stands still until someone sleeps or advances it."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._seconds = 0.0

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return self._now_ms + round(self._seconds * 1000)

    def monotonic(self) -> float:
        """Return the seconds slept so far."""
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """Advance by `seconds` at once."""
        self._seconds += seconds


class _Log:
    """One partition: the records from `low` on."""

    __slots__ = ("low", "records")

    def __init__(self) -> None:
        self.low = 0
        self.records: list[Record] = []

    @property
    def high(self) -> int:
        return self.low + len(self.records)

    def read(self, offset: int, count: int) -> list[Record]:
        start = offset - self.low
        return self.records[start : start + count]


class MemoryBroker:
    """All logs of one process. While `away` is set, it answers as a broker that is down."""

    def __init__(self, clock: Clock) -> None:
        self.away = False
        self._clock = clock
        self._topics: dict[str, list[_Log]] = {}
        self._incarnations: dict[str, int] = {}
        self._groups: dict[str, _Group] = {}
        self._keyless = cycle(range(1 << 16))

    def create(self, *specs: TopicSpec) -> None:
        """Create the topics that do not exist yet."""
        for spec in specs:
            if spec.name not in self._topics:
                self._topics[spec.name] = [_Log() for _ in range(spec.partitions)]
                self._incarnations[spec.name] = self._incarnations.get(spec.name, 0) + 1

    def delete(self, topic: str) -> None:
        """Delete a topic and its records; created again it has another id."""
        self.logs(topic)
        del self._topics[topic]

    def topic_id(self, topic: str) -> str:
        """Return what tells a topic from one that had the same name before."""
        self.logs(topic)
        return f"{topic}#{self._incarnations[topic]}"

    def reader(self) -> MemoryReader:
        """Return a reader at explicit positions."""
        return MemoryReader(self)

    def group_reader(self, group: str, topics: Iterable[str]) -> MemoryGroupReader:
        """Return a new member of `group`; a member that died in a test leaves it by `close`, which commits nothing."""
        return MemoryGroupReader(self, self._groups.setdefault(group, _Group()), topics)

    def writer(self) -> MemoryWriter:
        """Return a writer."""
        return MemoryWriter(self)

    def accepts(self, message: Outgoing) -> None:
        """Refuse a record whose topic or partition does not exist."""
        if message.partition is None:
            self.logs(message.topic)
        else:
            self.log(TopicPartition(message.topic, message.partition))

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

    def records(self, topic: str, partition: int | None = None) -> list[Record]:
        """Return the records that are kept, of one partition or of all in partition order."""
        logs = self.logs(topic) if partition is None else [self.logs(topic)[partition]]
        return [record for log in logs for record in log.records]

    def truncate(self, source: TopicPartition, offset: int) -> None:
        """Lose the records from `offset` on, as an unclean leader election does."""
        log = self.log(source)
        del log.records[offset - log.low :]

    def delete_records(self, source: TopicPartition, low: int) -> None:
        """Drop the records below `low`, as retention does."""
        log = self.log(source)
        del log.records[: low - log.low]
        log.low = low

    def logs(self, topic: str) -> list[_Log]:
        """Return the partitions of a topic; what readers and writers of this module work on."""
        if self.away:
            raise Unavailable("the log is away")
        if topic not in self._topics:
            raise ConfigurationError(f"topic {topic}", "does not exist; create it with `driftline topics create`")
        return self._topics[topic]

    def log(self, source: TopicPartition) -> _Log:
        """Return one partition."""
        logs = self.logs(source.topic)
        if not 0 <= source.partition < len(logs):
            raise ConfigurationError(f"topic {source.topic}", f"has {len(logs)} partitions, no {source.partition}")
        return logs[source.partition]

    def partitions(self, topic: str) -> int:
        """Return how many partitions `topic` has; 0 when it does not exist."""
        if self.away:
            raise Unavailable("the log is away")
        return len(self._topics.get(topic, ()))

    def _partition(self, message: Outgoing, partitions: int) -> int:
        if message.partition is not None:
            return message.partition
        if message.key is None:
            return next(self._keyless) % partitions
        return zlib.crc32(message.key) % partitions


class _Positions:
    """Where one consumer is in each of its logs; takes turns, so that a full log does not starve the others."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._next: dict[TopicPartition, int] = {}

    def set(self, source: TopicPartition, offset: int) -> None:
        self._next[source] = offset

    def keep(self, sources: Iterable[TopicPartition]) -> None:
        kept = set(sources)
        self._next = {source: offset for source, offset in self._next.items() if source in kept}

    def take(self, max_records: int) -> list[Record]:
        taken: list[Record] = []
        for source, offset in list(self._next.items()):
            if len(taken) == max_records:
                break
            log = self._broker.log(source)
            if not log.low <= offset <= log.high:
                raise LogIdentity(
                    f"{source.topic}-{source.partition}: position {offset} is outside [{log.low}, {log.high}]"
                )
            found = log.read(offset, max_records - len(taken))
            if found:
                taken += found
                del self._next[source]
                self._next[source] = found[-1].offset + 1  # to the end of the queue
        return taken


class MemoryReader:
    """`Reader` over a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._positions = _Positions(broker)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read exactly these logs from exactly these offsets."""
        self._positions.keep(())
        for source in sorted(positions):
            self._broker.log(source)
            self._positions.set(source, positions[source])

    def seek(self, source: TopicPartition, offset: int) -> None:
        """Go on reading `source` at `offset`."""
        self._positions.set(source, offset)

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:  # noqa: ARG002 - the port's signature
        """Return what is there, at once."""
        return self._positions.take(max_records)

    def bounds(self, source: TopicPartition) -> Bounds:
        """Return the offsets that exist now."""
        log = self._broker.log(source)
        return Bounds(log.low, log.high)

    def partitions(self, topic: str) -> int:
        """Return how many partitions `topic` has; 0 when it does not exist."""
        return self._broker.partitions(topic)

    def close(self) -> None:
        """Leave."""
        self._positions.keep(())


class _Group:
    """A consumer group: its members in order of joining, who holds what, and what is committed."""

    def __init__(self) -> None:
        self.members: list[MemoryGroupReader] = []
        self.holders: dict[TopicPartition, MemoryGroupReader] = {}
        self.committed: dict[TopicPartition, int] = {}

    def share(self, member: MemoryGroupReader, sources: Sequence[TopicPartition]) -> set[TopicPartition]:
        """Return what `member` is to hold once everybody has polled."""
        return set(sources[self.members.index(member) :: len(self.members)])


class MemoryGroupReader:
    """`GroupReader` over a `MemoryBroker`. Rebalances are cooperative and happen inside `poll`."""

    def __init__(self, broker: MemoryBroker, group: _Group, topics: Iterable[str]) -> None:
        self._broker = broker
        self._group = group
        self._positions = _Positions(broker)
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._revoked: set[TopicPartition] = set()
        self._topics = tuple(topics)
        for topic in self._topics:
            broker.logs(topic)
        group.members.append(self)

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:  # noqa: ARG002 - the port's signature
        """Take part in a rebalance that is due, then return what is there, at once."""
        if self in self._group.members:
            self._rebalance()
        return self._positions.take(max_records)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit next-to-read offsets of the logs that are still ours."""
        for source, offset in offsets.items():
            self._broker.log(source)
            if self._group.holders.get(source) is self:
                self._group.committed[source] = offset

    def assigned(self) -> frozenset[TopicPartition]:
        """Return the logs that are ours now."""
        return self._assigned

    def revoked(self) -> frozenset[TopicPartition]:
        """Return the logs lost since the last call."""
        lost, self._revoked = frozenset(self._revoked), set()
        return lost

    def close(self) -> None:
        """Leave the group; idempotent."""
        if self in self._group.members:
            self._group.members.remove(self)
            self._hold(set())

    def _rebalance(self) -> None:
        sources = [TopicPartition(t, p) for t in self._topics for p in range(len(self._broker.logs(t)))]
        share = self._group.share(self, sources)
        self._hold({source for source in share if self._group.holders.get(source, self) is self})

    def _hold(self, sources: set[TopicPartition]) -> None:
        for source in self._assigned - sources:
            del self._group.holders[source]
            self._revoked.add(source)
        self._positions.keep(sources)
        for source in sorted(sources - self._assigned):
            self._group.holders[source] = self
            self._positions.set(source, self._group.committed.get(source, self._broker.log(source).low))
        self._assigned = frozenset(sources)


class MemoryWriter:
    """`Writer` over a `MemoryBroker`. What was sent enters the log, and is acknowledged, in `poll` or `flush`.

    A process that dies in between has lost it, the worse of the two things that Kafka may do.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._sent: deque[tuple[Outgoing, OnAck | None]] = deque()
        self._failure: Undelivered | None = None

    def send(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        """Queue `message`."""
        self._check()
        self._broker.accepts(message)
        self._sent.append((message, on_ack))

    def poll(self) -> None:
        """Append and acknowledge everything sent; a broker that is away does not acknowledge."""
        self._check()
        while self._sent and not self._broker.away:
            message, on_ack = self._sent.popleft()
            record = self._broker.append(message)
            if on_ack is not None:
                on_ack(record.partition, record.offset)

    def flush(self) -> None:
        """Append and acknowledge everything sent."""
        self.poll()
        if self._sent:
            self._failure = Undelivered(f"{len(self._sent)} records were not acknowledged")
            self._check()

    def close(self) -> None:
        """Flush and leave; after a failure, just leave."""
        if self._failure is None:
            self.flush()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
