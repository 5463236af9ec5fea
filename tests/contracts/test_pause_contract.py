"""Pausing one log of a group member, in memory and on Kafka."""

from __future__ import annotations

import pytest

from shared.log import Record, TopicPartition
from shared.topics import TopicSpec
from tests.kit.logs import LogUnderTest, numbers, read, settle, write


@pytest.fixture
def topic(log: LogUnderTest) -> str:
    """A topic of two partitions."""
    name = log.topics.named("numbers")
    log.create(TopicSpec(name, 2))
    return name


def test_a_paused_log_is_delivered_no_further_and_goes_on_where_the_pause_said(log: LogUnderTest, topic: str) -> None:
    source = TopicPartition(topic, 0)
    write(log, *numbers(topic, *range(5)))
    member = log.group_reader("group", topic)
    read(member, 5)

    member.pause(source, 2)
    write(log, *numbers(topic, 5), *numbers(topic, 9, partition=1))
    other = read(member, 1)
    member.resume(source)
    again = read(member, 4)

    assert [(record.partition, record.value) for record in other] == [(1, b"9")]
    assert [record.offset for record in again] == [2, 3, 4, 5]


def test_a_pause_ends_when_its_log_is_lost(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, 1), *numbers(topic, 2, partition=1))
    first = log.group_reader("group", topic)
    read(first, 2)
    for partition in range(2):
        first.pause(TopicPartition(topic, partition), 0)
    second = log.group_reader("group", topic)
    settle(first, second)
    (lost,) = second.assigned()
    second.close()
    records: list[Record] = []
    for _ in range(200):
        records += [record for run in first.poll(10, 0.1) for record in run]
        if records:
            break

    assert [record.source for record in records] == [lost]
    assert first.poll(10, 0.5) == []
