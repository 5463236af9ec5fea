"""`GroupReader` over Kafka: the classic group protocol, cooperative-sticky, six seconds to miss a dead member."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as At

from shared.access import KafkaAccess
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
from shared.adapters.kafka.reader import fetch
from shared.log import Records, TopicPartition


class KafkaGroupReader:
    """Reads a whole topic as a member of a group. Rebalances happen inside `poll`."""

    def __init__(self, access: KafkaAccess, group: str, topic: str, name: str) -> None:
        self._topic = topic
        self._outage = Outage()
        self._consumer = Consumer(
            {
                **consumer_settings(access, name, self._outage),
                "group.id": group,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 500,
                "max.poll.interval.ms": 60_000,
            }
        )
        self._outage.serves(self._consumer)
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._revoked: frozenset[TopicPartition] = frozenset()
        self._errors: deque[tuple[TopicPartition, KafkaError]] = deque()
        self._paused: dict[TopicPartition, int] = {}  # to where each goes on
        self._has_lost = False
        self._closed = False
        existing_partitions(self._consumer, topic, self._outage)
        self._consumer.subscribe([topic], on_assign=self._gained, on_revoke=self._lost, on_lost=self._lost)

    def poll(self, max_records: int, timeout: float) -> Sequence[Records]:
        """Return up to `max_records` of the logs that are ours."""
        self._answer_errors()
        self._has_lost = False
        try:
            messages = fetch(self._consumer, max_records, timeout)
        except KafkaException as exc:
            raise translate(cause(exc), "consume") from exc
        if any(map(Message.error, messages)):
            self._note_errors(messages)
            messages = [message for message in messages if message.error() is None]
        runs = _runs(self._topic, messages)
        if self._has_lost:
            runs = _of_owner(runs, self._assigned)
        if not runs:
            self._outage.ask()
        return runs

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
        lag: dict[TopicPartition, int] = {}
        try:
            for at in self._consumer.position([At(*source) for source in self._assigned]):
                _, high = self._consumer.get_watermark_offsets(at, cached=True)
                if at.offset >= 0 and high >= 0:
                    lag[TopicPartition(at.topic, at.partition)] = max(high - at.offset, 0)
        except KafkaException as exc:
            raise translate(cause(exc), "lag") from exc
        return lag

    def pause(self, source: TopicPartition, offset: int) -> None:
        """Deliver nothing of a log that is ours until `resume`."""
        if source in self._assigned:
            self._paused[source] = offset
            self._consumer.pause([At(*source)])

    def resume(self, source: TopicPartition) -> None:
        """Go on where the pause said."""
        offset = self._paused.pop(source, None)
        if offset is not None:
            self._consumer.resume([At(*source)])
            self._consumer.incremental_unassign([At(*source)])
            self._consumer.incremental_assign([At(*source, offset)])

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

    def _lost(self, consumer: Consumer, partitions: list[At]) -> None:
        lost = {TopicPartition(at.topic, at.partition) for at in partitions}
        paused = [source for source in lost if self._paused.pop(source, None) is not None]
        if paused:  # the library would remember it when the log comes back
            consumer.resume([At(*source) for source in paused])
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


def _runs(topic: str, messages: Sequence[Message]) -> list[Records]:
    """Return messages without errors as columns, a run for each change of the log."""
    runs: list[Records] = []
    start = 0
    for partition, same in groupby(map(Message.partition, messages)):
        stop = start + len(list(same))
        runs.append(_columns(TopicPartition(topic, partition or 0), messages[start:stop]))
        start = stop
    return runs


def _columns(source: TopicPartition, messages: Sequence[Message]) -> Records:
    known: Any = Message  # the library types coordinates as optional: an error event may lack them, a record does not
    try:
        has_headers = any(map(known.headers, messages))
    except UnicodeDecodeError:  # a stranger's header name that is no text
        has_headers = True
    return Records(
        source,
        list(map(known.offset, messages)),
        [timestamp_ms for _, timestamp_ms in map(known.timestamp, messages)],
        list(map(known.value, messages)),
        [to_record(message).headers for message in messages] if has_headers else (),
    )


def _of_owner(runs: Sequence[Records], owned: frozenset[TopicPartition]) -> list[Records]:
    """Return the records of owned logs; of a log lost and regained in one poll, only those since it was regained."""
    kept: dict[TopicPartition, list[Records]] = {}
    for run in runs:
        if run.source in owned:
            of_log = kept.setdefault(run.source, [])
            again = _read_again(run.offsets)
            if again or (of_log and run.offsets[0] <= of_log[-1].offsets[-1]):
                of_log.clear()
            of_log.append(run.part(again, len(run)))
    return [run for of_log in kept.values() for run in of_log]


def _read_again(offsets: Sequence[int]) -> int:
    """Return where offsets last went back; 0 where they never do."""
    return max((place for place, (before, after) in enumerate(pairwise(offsets), 1) if after <= before), default=0)
