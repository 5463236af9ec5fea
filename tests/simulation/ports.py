"""The product's ports over one log and one Redis, pausing before every access. Faults happen here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import Protocol, TypeVar

from services.detector.checkpoints import Candidate
from services.joiner.view import Change, Reading, Snapshot
from shared.adapters.memory import MemoryBroker, MemoryGroupReader, MemoryReader
from shared.errors import Unavailable, Undelivered
from shared.log import Bounds, Outgoing, Reached, Record, Records, TopicPartition
from tests.simulation.redis import Command, Content, Redis
from tests.simulation.story import FaultKind

T = TypeVar("T")
OnAck = Callable[[int, int], None]

MAX_RECORDS = 5  # of a poll: where batches are cut must not matter


class Surroundings(Protocol):
    """What the ports of one process need of the simulation."""

    broker: MemoryBroker
    redis: Redis
    dice: Random
    is_redis_away: bool
    confirmed_ms: int | None  # log times up to this one may be leapt to; None: all

    def tell(self, text: str, counted: str = "") -> None:
        """Take note of something that happens, and count it under a name."""
        ...

    def pause(self, at: str) -> None:
        """Let other processes run first."""
        ...

    def strikes(self, kind: FaultKind) -> bool:
        """Return whether a fault that was waiting for an access hits this one."""
        ...

    def advanced(self, shard: int, change: Change, *, done: bool) -> None:
        """Take note of a compare-and-set."""
        ...

    def arrived(self, record: Record) -> None:
        """Take note of a record that a service wrote."""
        ...

    def loaded(self, shard: int, snapshot: Snapshot) -> None:
        """Take note that a joiner goes on with a shard from what it has found of it."""
        ...


class SimulatedReader:
    """`Reader`: polls as few records as chance likes."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._reader: MemoryReader = around.broker.reader()

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._around.pause("assign")
        self._reader.assign(positions)

    def seek(self, source: TopicPartition, offset: int) -> None:
        self._around.pause(f"seek {_text(source)}@{offset}")
        self._reader.seek(source, offset)

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
        self._around.pause("poll")
        return self._reader.poll(min(max_records, self._around.dice.randint(1, MAX_RECORDS)), timeout)

    def bounds(self, source: TopicPartition) -> Bounds:
        self._around.pause(f"bounds of {_text(source)}")
        return self._reader.bounds(source)

    def position(self, source: TopicPartition) -> int:
        return self._reader.position(source)

    def lag(self) -> Mapping[TopicPartition, int]:
        return self._reader.lag()

    def partitions(self, topic: str) -> int:
        return self._reader.partitions(topic)

    def topic_id(self, topic: str) -> str:
        return self._reader.topic_id(topic)

    def tell(self, source: TopicPartition, reached: Reached) -> None:
        self._around.pause(f"tell {_text(source)}@{reached.offset}")
        self._reader.tell(source, reached)

    def told(self, source: TopicPartition) -> Reached | None:
        self._around.pause(f"ask how far {_text(source)} is done with")
        return self._reader.told(source)

    def close(self) -> None:
        self._reader.close()


class SimulatedGroupReader:
    """`GroupReader`: a member that the group may give up while its process goes on."""

    def __init__(self, around: Surroundings, group: str, topic: str) -> None:
        self._around = around
        self._member: MemoryGroupReader = around.broker.group_reader(group, topic)

    def poll(self, max_records: int, timeout: float) -> Sequence[Records]:
        self._around.pause("poll")
        return self._member.poll(min(max_records, self._around.dice.randint(1, MAX_RECORDS)), timeout)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._around.pause("commit")
        self._member.commit(offsets)

    def assigned(self) -> frozenset[TopicPartition]:
        return self._member.assigned()

    def lag(self) -> Mapping[TopicPartition, int]:
        return self._member.lag()

    def pause(self, source: TopicPartition, offset: int) -> None:
        self._member.pause(source, offset)

    def resume(self, source: TopicPartition) -> None:
        self._member.resume(source)

    def revoked(self) -> frozenset[TopicPartition]:
        return self._member.revoked()

    def close(self) -> None:
        self._member.close()


class SimulatedShare(SimulatedGroupReader):
    """A member of a group that shares partitions out."""

    def poll(self, max_records: int, timeout: float) -> Sequence[Records]:
        before = self.assigned()
        found = super().poll(max_records, timeout)
        if before and self.assigned() != before:
            self._around.tell("has other partitions now", "shares moved")
        return found


class SimulatedWriter:
    """`Writer`: what was sent is under way, each partition in order, and arrives or not whatever becomes of its writer.

    The log's time is the broker's, as on Kafka's internal topics.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._under_way: dict[TopicPartition, deque[tuple[Outgoing, OnAck | None]]] = {}
        self._acks: deque[tuple[OnAck, Record]] = deque()
        self._failure: Undelivered | None = None

    def send(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        self._check()
        self._around.broker.accepts(message)
        place = TopicPartition(message.topic, message.partition or 0)
        self._under_way.setdefault(place, deque()).append((message, on_ack))

    def poll(self) -> None:
        self._check()
        while self._under_way and not self._around.broker.away and self._around.dice.random() < 0.5:
            self.arrive()
            self._check()
        self._serve()

    def flush(self) -> None:
        self._check()
        while self._under_way:
            self._around.pause("flush")
            if self._around.broker.away:
                self._failure = Undelivered("the log is away")
            else:
                self.arrive()
            self._check()
        self._serve()

    def close(self) -> None:
        if self._failure is None:
            self.flush()

    @property
    def under_way(self) -> int:
        """Return how many records have been sent and have not arrived."""
        return sum(map(len, self._under_way.values()))

    def arrive(self) -> bool:
        """Write one record that is under way; return whether there was any."""
        if not self._under_way:
            return False
        place = self._around.dice.choice(list(self._under_way))
        message, on_ack = self._under_way[place].popleft()
        if not self._under_way[place]:
            del self._under_way[place]
        stamped = Outgoing(message.topic, message.value, message.key, place.partition, message.headers)
        record = self._around.broker.append(stamped)
        self._around.arrived(record)
        if self._failure is None and self._around.strikes(FaultKind.LOST_ACK):
            self._failure = Undelivered(f"no acknowledgement of {_text(place)}@{record.offset}")
        if on_ack is not None:
            self._acks.append((on_ack, record))
        return True

    def _serve(self) -> None:
        while self._acks:
            on_ack, record = self._acks.popleft()
            on_ack(record.partition, record.offset)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


class SimulatedExclusiveWriter:
    """`ExclusiveWriter`: a commit may happen although its process hears nothing, or dies, and may not."""

    def __init__(self, around: Surroundings, name: str) -> None:
        around.pause(f"open {name}")
        self._around = around
        self._name = name
        self._writer = around.broker.exclusive_writer(name)

    def send(self, message: Outgoing) -> None:
        # The log's time is the broker's.
        self._writer.send(Outgoing(message.topic, message.value, message.key, message.partition, message.headers))

    def commit(self) -> None:
        self._around.pause(f"commit {self._name}")
        if self._around.broker.away:
            raise Unavailable("the log is away")
        self._writer.commit()
        if self._around.strikes(FaultKind.LOST_ACK):
            raise Unavailable(f"no answer to the commit of {self._name}")
        self._around.pause(f"hear of the commit of {self._name}")

    def close(self) -> None:
        self._writer.close()


class SimulatedRedis:
    """Redis as one process reaches it: any reply may get lost, whether or not the command wrote."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def ask(self, at: str, command: Command[T]) -> T:
        """Execute a command that only reads."""
        return self._execute(at, partial(self._around.redis.ask, command))

    def do(self, at: str, command: Command[T]) -> T:
        """Execute a command that may write."""
        return self._execute(at, partial(self._around.redis.do, command))

    def _execute(self, at: str, execute: Callable[[], T]) -> T:
        self._around.pause(at)
        if self._around.is_redis_away:
            raise Unavailable("Redis is away")
        result = execute()
        if self._around.strikes(FaultKind.LOST_REPLY):
            raise Unavailable(f"no reply to {at}")
        return result


class SimulatedView:
    """`View` in that Redis."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._redis = SimulatedRedis(around)

    def load(self, shard: int) -> Snapshot:
        snapshot = self._redis.ask(f"load shard {shard}", lambda content: content.view.load(shard))
        self._around.loaded(shard, snapshot)
        return snapshot

    def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
        at = f"read shard {shard} at {position}"
        return self._redis.ask(at, lambda content: content.view.read(shard, position, ids))

    def advance(self, shard: int, position: int | None, change: Change) -> bool:
        at = f"compare and set shard {shard} from {position} to {change.position}"
        return self._redis.do(at, lambda content: self._advanced(content, shard, position, change))

    def drop(self, shard: int, *, aloud: bool = False) -> None:
        self._redis.do(f"drop shard {shard}", lambda content: content.view.drop(shard, aloud=aloud))

    def find(self, shard: int, identity: bytes) -> bytes | None:
        return self._redis.ask("find", lambda content: content.view.find(shard, identity))

    def scan(self, shard: int) -> Iterator[list[bytes]]:
        yield from self._around.redis.content.view.scan(shard)

    def close(self) -> None:
        """Leave."""

    def _advanced(self, content: Content, shard: int, position: int | None, change: Change) -> bool:
        advanced = content.view.advance(shard, position, change)
        self._around.advanced(shard, change, done=advanced)
        return advanced


class SimulatedCheckpoints:
    """`Checkpoints` in that Redis."""

    def __init__(self, around: Surroundings) -> None:
        self._redis = SimulatedRedis(around)

    name = "redis"

    def candidates(self, partition: int) -> Sequence[Candidate]:
        return self._redis.ask(f"get checkpoint {partition}", lambda content: content.checkpoints.candidates(partition))

    def put_if_newer(self, partition: int, position: int, sealed: bytes, over: int | None = None) -> bool:
        at = f"put checkpoint {partition} of {position}"
        return self._redis.do(at, lambda content: content.checkpoints.put_if_newer(partition, position, sealed, over))

    def drop(self, partition: int) -> None:
        self._redis.do(f"drop checkpoint {partition}", lambda content: content.checkpoints.drop(partition))


def _text(source: TopicPartition) -> str:
    return f"{source.topic}-{source.partition}"
