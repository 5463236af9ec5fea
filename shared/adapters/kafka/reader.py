"""`Reader` over Kafka: explicit assignment, no group, no committed offsets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as At

from shared.access import KafkaAccess
from shared.adapters.kafka.admin import KafkaAdmin
from shared.adapters.kafka.client import (
    ANSWER_SECONDS,
    END,
    Outage,
    answered,
    cause,
    consumer_settings,
    count_partitions,
    existing_partitions,
    to_record,
    translate,
)
from shared.errors import ConfigurationError, Unavailable
from shared.log import Bounds, Reached, Record, TopicPartition

SILENT_SECONDS = 10.0  # after which it is asked whether there is nothing to hear, or nobody to say it


def fetch(consumer: Consumer, max_records: int, timeout: float) -> list[Message]:
    """Return what is there, up to `max_records`; waits for the first message only."""
    found = consumer.consume(max_records, 0)
    if found or timeout <= 0:
        return found
    first = consumer.poll(timeout)
    if first is None:
        return []
    return [first, *consumer.consume(max_records - 1, 0)] if max_records > 1 else [first]


class KafkaReader:
    """Reads logs at explicit positions. `group`: which one is told how far; nobody joins it."""

    def __init__(self, access: KafkaAccess, name: str, group: str = "") -> None:
        self._outage = Outage()
        settings = consumer_settings(access, name, self._outage)
        # Nobody joins the group. The end of a log need not be behind a record: it is asked for.
        self._consumer = Consumer({**settings, "group.id": group or f"driftline-{name}", "enable.partition.eof": True})
        self._outage.serves(self._consumer)
        self._assigned: dict[TopicPartition, int] = {}  # with up to where it is read
        self._errors: deque[tuple[TopicPartition, KafkaError]] = deque()
        self._heard_at = time.monotonic()
        self._closed = False
        self._access, self._name = access, name
        self._admin: KafkaAdmin | None = None  # only some readers ask what only it can answer

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read exactly these logs from exactly these offsets."""
        for topic in {source.topic for source in positions}:
            partitions = existing_partitions(self._consumer, topic, self._outage)
            for source in positions:
                if source.topic == topic and source.partition >= partitions:
                    raise ConfigurationError(f"topic {topic}", f"has {partitions} partitions, no {source.partition}")
        self._errors.clear()
        self._assigned = dict(positions)
        self._consumer.assign([At(*source, offset) for source, offset in positions.items()])

    def seek(self, source: TopicPartition, offset: int) -> None:
        """Go on reading `source` at `offset`."""
        # Assigning anew also discards what was fetched, and works before the first fetch, where `Consumer.seek` fails.
        self._errors = deque((where, error) for where, error in self._errors if where != source)
        if source in self._assigned:
            self._consumer.incremental_unassign([At(*source)])
        self._assigned[source] = offset
        self._consumer.incremental_assign([At(*source, offset)])

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
        """Return up to `max_records`; an error waits until the records before it are delivered."""
        if self._errors:
            where, error = self._errors.popleft()
            raise translate(error, f"{where.topic}-{where.partition}")
        try:
            messages = fetch(self._consumer, max_records, timeout)
        except KafkaException as exc:
            raise translate(cause(exc), "consume") from exc
        if messages:
            self._heard_at = time.monotonic()
        records: list[Record] = []
        for message in messages:
            problem = message.error()
            source = TopicPartition(message.topic() or "", message.partition() or 0)
            if problem is None:
                records.append(to_record(message))
                self._read_upto(source, records[-1].offset + 1)
            elif problem.code() == END:
                self._read_upto(source, message.offset() or 0)
            elif problem.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:  # of the group that is never used
                self._errors.append((source, problem))
        if not records:
            self._outage.ask()
            if self._errors:
                return self.poll(max_records, 0)
            self._doubt_silence()
        return records

    def bounds(self, source: TopicPartition) -> Bounds:
        """Return the offsets that exist now."""
        ask = partial(self._consumer.get_watermark_offsets, At(*source), timeout=ANSWER_SECONDS)
        try:
            return Bounds(*answered(ask, f"topic {source.topic}"))
        except Unavailable:
            self.partitions(source.topic)  # the library goes on asking a leader that has died until it hears of another
            raise

    def position(self, source: TopicPartition) -> int:
        """Return the offset up to which an assigned log is read."""
        return self._assigned[source]

    def lag(self) -> Mapping[TopicPartition, int]:
        """Return how many records of each log are not read yet."""
        lag: dict[TopicPartition, int] = {}
        for source, position in self._assigned.items():
            _, high = self._consumer.get_watermark_offsets(At(*source), cached=True)
            if high >= 0:
                lag[source] = max(high - position, 0)
        return lag

    def partitions(self, topic: str) -> int:
        """Return how many partitions `topic` has; 0 when it does not exist."""
        return count_partitions(self._consumer, topic, self._outage)

    def topic_id(self, topic: str) -> str:
        """Return what tells a topic from one that had the same name before."""
        if self._admin is None:
            self._admin = KafkaAdmin(self._access, self._name)
        return self._admin.topic_id(topic)

    def tell(self, source: TopicPartition, reached: Reached) -> None:
        """Commit how far a log is done with."""
        with suppress(KafkaException):  # it is told again soon
            self._consumer.commit(offsets=[At(*source, reached.offset, reached.note)], asynchronous=True)

    def told(self, source: TopicPartition) -> Reached | None:
        """Return what was committed last."""
        try:
            (at,) = self._consumer.committed([At(*source)], timeout=ANSWER_SECONDS)
        except KafkaException as exc:
            raise translate(cause(exc), f"committed offset of {source.topic}-{source.partition}") from exc
        return Reached(at.offset, at.metadata or "") if at.offset >= 0 else None

    def _doubt_silence(self) -> None:
        """Ask for the bounds of every log after a while: the library waits for a leader that died without a word.

        Raises:
            Unavailable: one of them has no leader; asked again at the next silent poll.
        """
        if time.monotonic() - self._heard_at >= SILENT_SECONDS:
            for source in self._assigned:
                self.bounds(source)
            self._heard_at = time.monotonic()

    def _read_upto(self, source: TopicPartition, offset: int) -> None:
        if source in self._assigned:
            self._assigned[source] = max(self._assigned[source], offset)

    def close(self) -> None:
        """Leave; idempotent."""
        if not self._closed:
            self._closed = True
            self._consumer.close()
