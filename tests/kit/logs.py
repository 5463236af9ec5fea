"""One log for the contract suites: in memory, or on the session's Kafka with topics of its own."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Protocol

from confluent_kafka import TopicPartition as At
from confluent_kafka.admin import AdminClient

from shared.adapters.kafka import KafkaAdmin, KafkaExclusiveWriter, KafkaGroupReader, KafkaReader, KafkaWriter
from shared.adapters.kafka.client import Outage, client_settings
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.errors import Unavailable
from shared.log import ExclusiveWriter, GroupReader, Outgoing, Reader, Record, Records, TopicPartition, Writer
from shared.settings import Settings
from shared.topics import Topics, TopicSpec

POLL_SECONDS = 0.5
PATIENCE = 60  # polls


class LogUnderTest(Protocol):
    """What a suite needs of a log beside the ports."""

    topics: Topics

    def reader(self) -> Reader: ...

    def group_reader(self, group: str, topic: str) -> GroupReader: ...

    def writer(self) -> Writer: ...

    def exclusive_writer(self, name: str) -> ExclusiveWriter: ...

    def create(self, spec: TopicSpec) -> None: ...

    def delete(self, topic: str) -> None: ...

    def delete_records(self, source: TopicPartition, low: int) -> None: ...

    def topic_id(self, topic: str) -> str: ...


class MemoryLog:
    """The log in memory."""

    def __init__(self) -> None:
        self.topics = Topics()
        self.broker = MemoryBroker(ManualClock(1_700_000_000_000))

    def reader(self) -> Reader:
        return self.broker.reader()

    def group_reader(self, group: str, topic: str) -> GroupReader:
        return self.broker.group_reader(group, topic)

    def writer(self) -> Writer:
        return self.broker.writer()

    def exclusive_writer(self, name: str) -> ExclusiveWriter:
        return self.broker.exclusive_writer(name)

    def create(self, spec: TopicSpec) -> None:
        self.broker.create(spec)

    def delete(self, topic: str) -> None:
        self.broker.delete(topic)

    def delete_records(self, source: TopicPartition, low: int) -> None:
        self.broker.delete_records(source, low)

    def topic_id(self, topic: str) -> str:
        return self.broker.topic_id(topic)


class KafkaLog:
    """The log on Kafka; `undo` closes every client."""

    def __init__(self, settings: Settings, undo: ExitStack) -> None:
        self.topics = settings.topics
        self._settings = settings
        self._undo = undo
        self._admin = KafkaAdmin(settings.kafka)
        self._client = AdminClient(client_settings(settings.kafka, "test", Outage()))

    def reader(self) -> Reader:
        reader = KafkaReader(self._settings.kafka, "test", self._settings.topics.named("reader"))
        self._undo.callback(reader.close)
        return reader

    def group_reader(self, group: str, topic: str) -> GroupReader:
        named = self._settings.topics.named(group)
        reader = KafkaGroupReader(self._settings.kafka, named, topic, "test")
        self._undo.callback(reader.close)
        return reader

    def writer(self) -> Writer:
        writer = KafkaWriter(self._settings.kafka, "test")
        self._undo.callback(writer.close)
        return writer

    def exclusive_writer(self, name: str) -> KafkaExclusiveWriter:
        writer = KafkaExclusiveWriter(self._settings.kafka, "test", self._settings.topics.named(name))
        self._undo.callback(writer.close)
        return writer

    def create(self, spec: TopicSpec) -> None:
        self._admin.create([spec])

    def delete(self, topic: str) -> None:
        self._client.delete_topics([topic], operation_timeout=10.0)[topic].result()
        reader = self.reader()
        for _ in range(PATIENCE * 10):
            if reader.partitions(topic) == 0:
                return

    def delete_records(self, source: TopicPartition, low: int) -> None:
        for answer in self._client.delete_records([At(*source, low)]).values():
            answer.result()

    def topic_id(self, topic: str) -> str:
        return self._admin.topic_id(topic)


def write(log: LogUnderTest, *messages: Outgoing) -> None:
    """Write and wait until everything is acknowledged."""
    writer = log.writer()
    for message in messages:
        writer.send(message)
    writer.flush()


def read(reader: Reader | GroupReader, count: int, at_once: int = 100) -> list[Record]:
    """Return `count` records, or as many as came in `PATIENCE` polls."""
    records: list[Record] = []
    for _ in range(PATIENCE):
        for polled in reader.poll(min(at_once, count - len(records)), POLL_SECONDS):
            records += polled if isinstance(polled, Records) else [polled]
        if len(records) >= count:
            break
    return records


def read_on(reader: Reader, count: int) -> list[Record]:
    """Read as services do, who try again: what was heard during an outage may be said when it is over."""
    for _ in range(PATIENCE):
        with suppress(Unavailable):
            return read(reader, count)
    return read(reader, count)


def numbers(topic: str, *values: int, partition: int = 0) -> list[Outgoing]:
    return [Outgoing(topic, b"%d" % value, partition=partition) for value in values]


def settle(first: GroupReader, second: GroupReader) -> None:
    """Poll until each of two members has one of two logs."""
    for _ in range(200):
        first.poll(10, 0.1)
        second.poll(10, 0.1)
        if len(first.assigned()) == len(second.assigned()) == 1:
            return
