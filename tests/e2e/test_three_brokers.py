"""Kafka as it runs in production: of three brokers, one at a time may die."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest

from services.devstack.adapters.stack import RunningStack
from shared.adapters.kafka import KafkaAdmin
from shared.errors import Unavailable
from shared.settings import Settings
from shared.topics import TopicSpec
from tests.faults.servers import Servers, programs, servers

TOPIC = TopicSpec("three", 2, {"min.insync.replicas": "2"})
ASKERS = 6  # each may take another broker for the controller
ATTEMPTS = 3  # of ten seconds; whoever never learns of another controller is alone for minutes

pytestmark = pytest.mark.long


def test_who_asks_for_a_topics_id_outlives_any_broker(stack: RunningStack) -> None:  # noqa: ARG001 - starts it, or skips
    with servers(programs(print), 3) as running:
        access = Settings(bootstrap=running.bootstrap).kafka
        KafkaAdmin(access).create([TOPIC])
        differences = KafkaAdmin(access).check([TOPIC])
        askers = [KafkaAdmin(access) for _ in range(ASKERS)]
        identities = {asker.topic_id(TOPIC.name) for asker in askers}

        found = [_without(running, number, askers) for number in range(3)]

    assert differences == []
    assert len(identities) == 1
    assert found == [identities] * 3


def _without(running: Servers, number: int, askers: Sequence[KafkaAdmin]) -> set[str]:
    """Kill a broker, start it again, and return what askers hear in between."""
    broker = running.brokers[number]
    broker.kill()
    heard = {_asked(asker) for asker in askers}
    broker.start(broker.port)
    return heard


def _asked(asker: KafkaAdmin) -> str:
    for _ in range(ATTEMPTS):
        with suppress(Unavailable):
            return asker.topic_id(TOPIC.name)
    return f"nothing in {ATTEMPTS} attempts"
