"""Kafka as it runs in production: of three brokers, one may die unnoticed, and two not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import pytest
from confluent_kafka.admin import AdminClient

from services.devstack.adapters.stack import RunningStack
from shared.adapters.kafka import KafkaAdmin, KafkaReader, KafkaWriter
from shared.errors import Unavailable
from shared.log import Outgoing, TopicPartition
from shared.settings import Settings
from shared.topics import TopicSpec
from tests.faults.servers import Servers, programs, servers
from tests.kit.logs import read, read_on

TOPIC = TopicSpec("three", 3)
LOGS = [TopicPartition(TOPIC.name, number) for number in range(TOPIC.partitions)]
ASKERS = 6  # each may take another broker for the controller
ATTEMPTS = 3  # of ten seconds; who never learns of another controller or leader is alone for minutes

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def running(stack: RunningStack) -> Iterator[Servers]:  # noqa: ARG001 - where it cannot start, nothing can
    with servers(programs(print), 3) as started:
        yield started


@pytest.fixture(scope="module")
def settings(running: Servers) -> Settings:
    found = Settings(bootstrap=running.bootstrap)
    KafkaAdmin(found.kafka).create([TOPIC])
    return found


def test_what_is_acknowledged_is_on_two_of_three_brokers(settings: Settings) -> None:
    safe = TopicSpec(TOPIC.name, TOPIC.partitions, {"min.insync.replicas": "2"})

    assert KafkaAdmin(settings.kafka).check([safe]) == []


def test_questions_are_answered_without_any_broker(running: Servers, settings: Settings) -> None:
    reader = KafkaReader(settings.kafka, "test")
    admins = [KafkaAdmin(settings.kafka) for _ in range(ASKERS)]
    questions: list[Callable[[], object]] = [
        *[partial(admin.topic_id, TOPIC.name) for admin in admins],
        *[partial(reader.bounds, source) for source in LOGS],
    ]

    answers = [[_answer(ask) for ask in questions]]
    for broker in running.brokers:
        broker.kill()
        answers.append([_answer(ask) for ask in questions])
        broker.start(broker.port)

    assert len(set(answers[0][:ASKERS])) == 1
    assert answers == [answers[0]] * 4
    reader.close()


def test_a_reader_that_hears_nothing_says_that_a_leader_is_gone(running: Servers, settings: Settings) -> None:
    writer, reader = KafkaWriter(settings.kafka, "test"), KafkaReader(settings.kafka, "test")
    for source in LOGS:
        writer.send(Outgoing(TOPIC.name, b"before", partition=source.partition))
    writer.flush()
    reader.assign(dict.fromkeys(LOGS, 0))
    before = read(reader, len(LOGS))
    leader = _leader(settings)
    killed = [leader, (leader + 1) % 3]

    for number in killed:
        running.brokers[number].kill()
    with pytest.raises(Unavailable, match=f"topic {TOPIC.name}"):
        read(reader, 1)
    for number in killed:
        running.brokers[number].begin(running.brokers[number].port)
    for number in killed:
        running.brokers[number].await_answer()
    writer.send(Outgoing(TOPIC.name, b"after", partition=0))
    writer.flush()

    assert {record.source for record in before} == set(LOGS)
    assert [record.value for record in read_on(reader, 1)] == [b"after"]
    writer.close()
    reader.close()


def _leader(settings: Settings) -> int:
    """Return which of the brokers leads the first log."""
    topic = (
        AdminClient({"bootstrap.servers": settings.bootstrap}).list_topics(TOPIC.name, timeout=60).topics[TOPIC.name]
    )
    return topic.partitions[0].leader - 1


def _answer(ask: Callable[[], object]) -> object:
    for _ in range(ATTEMPTS):
        with suppress(Unavailable):
            return ask()
    return f"nothing in {ATTEMPTS} attempts"
