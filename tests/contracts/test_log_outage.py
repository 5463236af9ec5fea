"""What readers and writers say while nobody answers, and how they go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from services.devstack.adapters.stack import RunningStack
from shared.adapters.kafka import KafkaReader, KafkaWriter
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.errors import Unavailable, Undelivered
from shared.log import Outgoing, Reader, TopicPartition, Writer
from shared.settings import Settings
from shared.topics import TopicSpec
from tests.kit.logs import KafkaLog, MemoryLog, read, read_on

PATIENCE_SECONDS = 3.0  # of who writes into the outage; a killed broker never answers
RECOVERY_SECONDS = 60.0  # within which a busy machine's broker that has just come back answers


class Outage:
    """A log that can be away: its clients, and the switch."""

    def __init__(
        self, topic: str, reader: Reader, writer: Callable[[float], Writer], away: Callable[[bool], None]
    ) -> None:
        self.source = TopicPartition(topic, 0)
        self.reader = reader
        self.writer = writer
        self.away = away


def in_memory() -> Outage:
    log = MemoryLog()
    log.broker = MemoryBroker(ManualClock())
    log.create(TopicSpec("numbers", 1))

    def away(is_away: bool) -> None:
        log.broker.away = is_away

    return Outage("numbers", log.reader(), lambda _: log.writer(), away)


def on_kafka(stack: RunningStack, settings: Settings, undo: ExitStack) -> Outage:
    log = KafkaLog(settings, undo)
    topic = settings.topics.named("numbers")
    log.create(TopicSpec(topic, 1))
    reader = KafkaReader(settings.kafka, "test")
    undo.callback(reader.close)

    def writer(patience: float) -> Writer:
        opened = KafkaWriter(settings.kafka, "test", patience=patience)
        undo.callback(opened.close)
        return opened

    def away(is_away: bool) -> None:
        if is_away:
            stack.kill_kafka()
        else:
            stack.start_kafka()

    return Outage(topic, reader, writer, away)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.e2e)])
def outage(request: pytest.FixtureRequest) -> Iterator[Outage]:
    """A log of one partition that answers."""
    with ExitStack() as undo:
        if request.param == "memory":
            yield in_memory()
        else:
            yield on_kafka(request.getfixturevalue("stack"), request.getfixturevalue("settings"), undo)


def test_an_outage_is_said_and_what_was_acknowledged_outlives_it(outage: Outage) -> None:
    writer = outage.writer(PATIENCE_SECONDS)
    writer.send(Outgoing(outage.source.topic, b"before", partition=0))
    writer.flush()
    outage.reader.assign({outage.source: 0})
    before = [record.value for record in read(outage.reader, 1)]

    outage.away(True)
    try:
        with pytest.raises(Unavailable, match=r"(is away|does not answer)"):
            read(outage.reader, 1)
        with pytest.raises(Undelivered, match="1 records were not acknowledged"):
            deliver(writer, Outgoing(outage.source.topic, b"lost", partition=0))
        with pytest.raises(Undelivered):
            writer.poll()
        writer.close()
    finally:
        outage.away(False)
    deliver(outage.writer(RECOVERY_SECONDS), Outgoing(outage.source.topic, b"after", partition=0))

    assert before == [b"before"]
    assert [record.value for record in read_on(outage.reader, 1)] == [b"after"]


def deliver(writer: Writer, message: Outgoing) -> None:
    writer.send(message)
    writer.flush()
