"""What every log promises about how far its readers are behind."""

from __future__ import annotations

import pytest

from shared.log import Outgoing, TopicPartition
from shared.topics import TopicSpec
from tests.kit.logs import LogUnderTest, read, write
from tests.kit.waiting import until


@pytest.fixture
def topic(log: LogUnderTest) -> str:
    """A topic of two partitions."""
    name = log.topics.named("numbers")
    log.create(TopicSpec(name, 2))
    return name


def numbers(topic: str, *values: int, partition: int = 0) -> list[Outgoing]:
    return [Outgoing(topic, b"%d" % value, partition=partition) for value in values]


def test_the_lag_is_what_is_written_and_not_read(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, *range(5)), *numbers(topic, 0, 1, partition=1))
    reader = log.reader()
    reader.assign({TopicPartition(topic, 0): 1, TopicPartition(topic, 1): 2})

    read(reader, 1)

    behind = {TopicPartition(topic, 0): 3, TopicPartition(topic, 1): 0}
    assert until(reader.lag, lambda lag: lag == behind) == behind


def test_the_lag_of_a_group_is_of_the_logs_that_are_ours(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, *range(5)), *numbers(topic, 0, 1, partition=1))
    member = log.group_reader("group", topic)

    read(member, 7)
    write(log, *numbers(topic, 2, 3, 4, partition=1))
    read(member, 1, at_once=1)

    behind = {TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 2}
    assert until(member.lag, lambda lag: lag == behind) == behind


def test_what_is_not_assigned_has_no_lag(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, 1))
    reader = log.reader()
    reader.assign({TopicPartition(topic, 0): 0})
    read(reader, 1)

    reader.assign({})

    assert reader.lag() == {}
