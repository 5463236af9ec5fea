"""The port to the log: records, readers, a writer. Kafka and memory implement it alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

SHUT_OUT_SECONDS = 15.0  # after which one that was shut out tries again: long enough for the other to get somewhere

Headers = tuple[tuple[str, bytes], ...]

UNKNOWN_EPOCH = -1


class TopicPartition(NamedTuple):
    """One log."""

    topic: str
    partition: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as it was read; `timestamp_ms` is log time on internal topics (LogAppendTime).

    epoch: how often the log had changed its leader when the record was written; unknown in memory.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    epoch: int = UNKNOWN_EPOCH

    @property
    def source(self) -> TopicPartition:
        """Return the log that the record came from."""
        return TopicPartition(self.topic, self.partition)


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one log in order, column by column: an object for each costs more than decoding half of it.

    Keys are left out, since those who read whole topics do not need them.
    """

    source: TopicPartition
    offsets: Sequence[int]
    timestamps_ms: Sequence[int]
    values: Sequence[bytes | None]
    headers: Sequence[Headers] = ()  # empty where no record has any

    @classmethod
    def of(cls, records: Sequence[Record]) -> Records:
        """Return records of one log, of which there is at least one."""
        return cls(
            records[0].source,
            [record.offset for record in records],
            [record.timestamp_ms for record in records],
            [record.value for record in records],
            [record.headers for record in records] if any(record.headers for record in records) else (),
        )

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Record]:
        return map(self.record, range(len(self)))

    def record(self, place: int) -> Record:
        """Return one of them, without its key."""
        headers = self.headers[place] if self.headers else ()
        return Record(*self.source, self.offsets[place], self.timestamps_ms[place], None, self.values[place], headers)

    def at(self, places: Sequence[int]) -> Records:
        """Return those in these places."""
        return Records(
            self.source,
            [self.offsets[place] for place in places],
            [self.timestamps_ms[place] for place in places],
            [self.values[place] for place in places],
            [self.headers[place] for place in places] if self.headers else (),
        )

    def part(self, start: int, stop: int) -> Records:
        """Return some of them."""
        if start <= 0 and stop >= len(self):
            return self
        columns = (self.offsets, self.timestamps_ms, self.values, self.headers)
        return Records(self.source, *[column[start:stop] for column in columns])  # type: ignore[arg-type]  # as they were


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to write. `partition` None: the writer's partitioner chooses by key.

    `timestamp_ms` is only honoured where the log does not stamp records itself (user topics, memory).
    """

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None


class Bounds(NamedTuple):
    """First offset kept and next offset to be written."""

    low: int
    high: int


class Reached(NamedTuple):
    """How far the records of a log have had all their effects, as someone said, and what was said with it."""

    offset: int
    note: str


class Reader(Protocol):
    """Reads logs at explicit positions; a consumer group is only told of them.

    Raises (from `poll`): LogIdentity when a position is outside the log, Unavailable when no broker answers; (from
    `assign`): ConfigurationError when a log does not exist.
    """

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read exactly these logs from exactly these offsets; replaces the former assignment."""
        ...

    def seek(self, source: TopicPartition, offset: int) -> None:
        """Go on reading `source` at `offset`; records in hand of that log are discarded."""
        ...

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
        """Return up to `max_records`, each log in offset order; waits at most `timeout` seconds."""
        ...

    def bounds(self, source: TopicPartition) -> Bounds:
        """Return the offsets that exist now."""
        ...

    def position(self, source: TopicPartition) -> int:
        """Return the offset up to which an assigned log is read.

        At its end that is the end, even where the last offset is no record: a log keeps the ends of transactions, too.
        """
        ...

    def lag(self) -> Mapping[TopicPartition, int]:
        """Return how many records each log holds that are not read yet, as far as is known without asking a broker.

        A log of which nothing was heard yet is left out.
        """
        ...

    def partitions(self, topic: str) -> int:
        """Return how many partitions `topic` has; 0 when it does not exist."""
        ...

    def topic_id(self, topic: str) -> str:
        """Return what tells a topic from one that had the same name before."""
        ...

    def tell(self, source: TopicPartition, reached: Reached) -> None:
        """Commit how far a log is done with, without waiting; it may get lost, and never moves a reader."""
        ...

    def told(self, source: TopicPartition) -> Reached | None:
        """Return what was committed last."""
        ...

    def close(self) -> None:
        """Leave; idempotent."""
        ...


class GroupReader(Protocol):
    """Reads a whole topic as a member of a consumer group; only the two ingest services use it."""

    def poll(self, max_records: int, timeout: float) -> Sequence[Records]:
        """Return up to `max_records`, each log in offset order; no run of them is empty."""
        ...

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit next-to-read offsets; a log that is no longer ours is left out silently."""
        ...

    def assigned(self) -> frozenset[TopicPartition]:
        """Return the logs that are ours now."""
        ...

    def lag(self) -> Mapping[TopicPartition, int]:
        """Return how many records each log holds that are not read yet, as far as is known without asking a broker.

        A log of which nothing was heard yet is left out.
        """
        ...

    def pause(self, source: TopicPartition, offset: int) -> None:
        """Deliver nothing of a log that is ours until `resume`, or until it is lost; `offset` is then the next."""
        ...

    def resume(self, source: TopicPartition) -> None:
        """Go on with a paused log where its pause said; a log that is not paused is left out silently."""
        ...

    def revoked(self) -> frozenset[TopicPartition]:
        """Return the logs lost since the last call; what is in hand of them must not be committed."""
        ...

    def close(self) -> None:
        """Leave the group; idempotent."""
        ...


class Writer(Protocol):
    """Writes with acknowledgement of every replica.

    A failed delivery raises Undelivered from every later call: nothing may be written behind a gap. A topic that does
    not exist raises ConfigurationError from `send`.
    """

    def send(self, message: Outgoing, on_ack: Callable[[int, int], None] | None = None) -> None:
        """Queue `message`; `on_ack(partition, offset)` is called from `poll` or `flush` once it is safe."""
        ...

    def poll(self) -> None:
        """Serve acknowledgements that have arrived, without waiting."""
        ...

    def flush(self) -> None:
        """Wait until everything sent is acknowledged.

        Raises:
            Undelivered: an acknowledgement did not come; the process must start over from its stored position.
        """
        ...

    def close(self) -> None:
        """Flush and leave; idempotent."""
        ...


class ExclusiveWriter(Protocol):
    """Writes records all together or not at all. Opening its name shuts out whoever had opened it before.

    After an error it is of no use, and nobody knows whether the records were written: close it, open another, and look.

    Raises: Unavailable when no broker answers, or somebody else has opened its name.
    """

    def send(self, message: Outgoing) -> None:
        """Take one more record of those that belong together."""
        ...

    def commit(self) -> None:
        """Write what was sent since the last time, and wait until it is safe."""
        ...

    def close(self) -> None:
        """Leave; what was sent and not committed is not written; idempotent."""
        ...
