"""What every exclusive writer promises: all or nothing, and nothing any more once its name was opened again."""

from __future__ import annotations

import pytest

from shared.control import read_whole
from shared.errors import ConfigurationError, Unavailable
from shared.history import history
from shared.log import Outgoing, TopicPartition
from shared.topics import TopicSpec
from tests.kit.logs import KafkaLog, LogUnderTest, read, write


@pytest.fixture
def source(log: LogUnderTest) -> TopicPartition:
    """The first of two logs."""
    name = log.topics.named("told")
    log.create(TopicSpec(name, 2))
    return TopicPartition(name, 0)


def message(source: TopicPartition, text: str, partition: int = 0) -> Outgoing:
    return Outgoing(source.topic, text.encode(), b"key", partition)


def told(log: LogUnderTest, source: TopicPartition) -> list[str]:
    """Return what is in a log, read to its end."""
    reader = log.reader()
    return [(record.value or b"").decode() for record in history(reader, source, *reader.bounds(source))]


def test_what_was_sent_is_there_when_it_is_committed(log: LogUnderTest, source: TopicPartition) -> None:
    writer = log.exclusive_writer("name")

    writer.send(message(source, "a"))
    writer.send(message(source, "b", partition=1))
    before = told(log, source)
    writer.commit()
    writer.send(message(source, "c"))
    writer.commit()
    writer.commit()

    assert before == []
    assert (told(log, source), told(log, TopicPartition(source.topic, 1))) == (["a", "c"], ["b"])


def test_what_was_not_committed_is_never_there(log: LogUnderTest, source: TopicPartition) -> None:
    writer = log.exclusive_writer("name")
    writer.send(message(source, "a"))
    writer.close()
    writer.close()

    assert told(log, source) == []


def test_a_successor_ends_what_was_open_and_shuts_the_other_out(log: LogUnderTest, source: TopicPartition) -> None:
    late = log.exclusive_writer("name")
    late.send(message(source, "committed"))
    late.commit()
    late.send(message(source, "open"))

    successor = log.exclusive_writer("name")
    successor.send(message(source, "next"))
    successor.commit()

    with pytest.raises(Unavailable, match="was opened by somebody else"):
        late.commit()
    late.close()
    assert told(log, source) == ["committed", "next"]


def test_names_do_not_shut_each_other_out(log: LogUnderTest, source: TopicPartition) -> None:
    one, other = log.exclusive_writer("one"), log.exclusive_writer("other")
    for writer, text in ((one, "a"), (other, "b"), (one, "c")):
        writer.send(message(source, text))
        writer.commit()

    assert told(log, source) == ["a", "b", "c"]


def test_the_end_of_a_log_is_reached_although_no_record_stands_there(log: LogUnderTest, source: TopicPartition) -> None:
    writer = log.exclusive_writer("name")
    for text in ("a", "b"):
        writer.send(message(source, text))
        writer.commit()
    reader = log.reader()
    reader.assign({source: 0})

    first, second = read(reader, 2)
    for _ in range(100):
        if reader.position(source) == 4:
            break
        reader.poll(1, 0.1)

    assert (first.offset, second.offset) == (0, 2)
    assert (reader.bounds(source).high, reader.position(source), reader.lag()) == (4, 4, {source: 0})
    assert [record.value for record in read_whole(log.reader(), source.topic)] == [b"a", b"b"]
    assert [record.offset for record in history(log.reader(), source, 1, 4)] == [2]
    assert list(history(log.reader(), source, 3, 4)) == []


def test_a_topic_that_does_not_exist_is_not_written(log: LogUnderTest) -> None:
    writer = log.exclusive_writer("name")

    with pytest.raises(ConfigurationError, match="does not exist"):
        writer.send(Outgoing(log.topics.named("nowhere"), b"x", None, 0))
    writer.close()


@pytest.mark.e2e
def test_a_transaction_that_was_left_open_holds_readers_no_longer_than_its_successor_takes(kafka: KafkaLog) -> None:
    name = kafka.topics.named("told")
    kafka.create(TopicSpec(name, 1))
    source = TopicPartition(name, 0)
    late = kafka.exclusive_writer("name")
    late.send(message(source, "left open"))
    late._producer.flush()
    write(kafka, message(source, "by another"))
    held = told(kafka, source)

    kafka.exclusive_writer("name")

    assert held == []
    assert told(kafka, source) == ["by another"]
    late.close()
