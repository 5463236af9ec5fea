"""`GroupReader` over Kafka: the classic group protocol, cooperative-sticky, six seconds to miss a dead member."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as At

from shared.adapters.kafka.client import (
    ANSWER_SECONDS,
    LOST_RACE,
    NO_POSITION,
    TOO_SLOW,
    Outage,
    cause,
    consumer_settings,
    existing_partitions,
    to_record,
    translate,
)
from shared.adapters.kafka.reader import fetch, known_lag
from shared.log import Record, TopicPartition


class KafkaGroupReader:
    """Reads whole topics as a member of a group. Rebalances happen inside `poll`."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], name: str) -> None:
        self._outage = Outage()
        self._consumer = Consumer(
            {
                **consumer_settings(bootstrap, name, self._outage),
                "group.id": group,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 500,
                "max.poll.interval.ms": 60_000,
            }
        )
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._revoked: frozenset[TopicPartition] = frozenset()
        self._errors: deque[tuple[TopicPartition, KafkaError]] = deque()
        self._has_lost = False
        self._closed = False
        for topic in topics:
            existing_partitions(self._consumer, topic)
        self._consumer.subscribe(list(topics), on_assign=self._gained, on_revoke=self._lost, on_lost=self._lost)

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
        """Return up to `max_records` of the logs that are ours."""
        self._answer_errors()
        self._has_lost = False
        try:
            messages = fetch(self._consumer, max_records, timeout)
        except KafkaException as exc:
            raise translate(cause(exc), "consume") from exc
        records = [to_record(message) for message in messages if message.error() is None]
        if len(records) < len(messages):
            self._note_errors(messages)
        if self._has_lost:
            records = _of_owner(records, self._assigned)
        if not records:
            self._outage.ask()
        return records

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit next-to-read offsets of the logs that are still ours, and wait for the answer."""
        ours = [At(*source, offset) for source, offset in offsets.items() if source in self._assigned]
        if not ours:
            return
        try:
            answers = self._consumer.commit(offsets=ours, asynchronous=False)
        except KafkaException as exc:
            if cause(exc).code() in LOST_RACE:
                return
            raise translate(cause(exc), "commit") from exc
        for answer in answers:
            if answer.error is not None and answer.error.code() not in LOST_RACE:
                raise translate(answer.error, f"commit of {answer.topic}-{answer.partition}")

    def assigned(self) -> frozenset[TopicPartition]:
        """Return the logs that are ours now."""
        return self._assigned

    def lag(self) -> Mapping[TopicPartition, int]:
        """Return how many records of each log are not read yet; nothing of a log before its first record."""
        return known_lag(self._consumer, dict.fromkeys(self._assigned))

    def revoked(self) -> frozenset[TopicPartition]:
        """Return the logs lost since the last call."""
        lost, self._revoked = self._revoked, frozenset()
        return lost

    def close(self) -> None:
        """Leave the group; idempotent."""
        if not self._closed:
            self._closed = True
            self._consumer.close()

    def _gained(self, _: Consumer, partitions: list[At]) -> None:
        self._assigned |= {TopicPartition(at.topic, at.partition) for at in partitions}

    def _lost(self, _: Consumer, partitions: list[At]) -> None:
        lost = {TopicPartition(at.topic, at.partition) for at in partitions}
        self._has_lost = True  # in the poll that is running
        self._assigned -= lost
        self._revoked |= lost

    def _note_errors(self, messages: Sequence[Message]) -> None:
        for message in messages:
            error = message.error()
            if error is not None and error.code() != TOO_SLOW:  # it loses us all logs, which is reported by itself
                self._errors.append((TopicPartition(message.topic() or "", message.partition() or 0), error))

    def _answer_errors(self) -> None:
        while self._errors:
            source, error = self._errors[0]
            if error.code() == NO_POSITION and source in self._assigned and self._is_first_start(source):
                self._consumer.incremental_unassign([At(*source)])
                self._consumer.incremental_assign([At(*source, OFFSET_BEGINNING)])
                self._errors.popleft()
                continue
            self._errors.popleft()
            if source in self._assigned or not source.topic:
                raise translate(error, f"{source.topic}-{source.partition}")

    def _is_first_start(self, source: TopicPartition) -> bool:
        """Whether the group has never committed this log: only then is its beginning the right place."""
        try:
            (answer,) = self._consumer.committed([At(*source)], timeout=ANSWER_SECONDS)
        except KafkaException as exc:
            raise translate(cause(exc), f"committed offset of {source.topic}-{source.partition}") from exc
        return answer.offset < 0


def _of_owner(records: Sequence[Record], owned: frozenset[TopicPartition]) -> list[Record]:
    """Return the records of owned logs; of a log lost and regained in one poll, only those since it was regained."""
    kept: dict[TopicPartition, list[Record]] = {}
    for record in records:
        if record.source in owned:
            run = kept.setdefault(record.source, [])
            if run and record.offset <= run[-1].offset:
                run.clear()
            run.append(record)
    return [record for run in kept.values() for record in run]
