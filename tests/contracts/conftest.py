"""The log, in memory and on Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from shared.settings import Settings
from tests.kit.logs import KafkaLog, LogUnderTest, MemoryLog


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.e2e)])
def log(request: pytest.FixtureRequest) -> LogUnderTest:
    """A log without topics."""
    if request.param == "memory":
        return MemoryLog()
    kafka: KafkaLog = request.getfixturevalue("kafka")
    return kafka


@pytest.fixture
def kafka(settings: Settings) -> Iterator[KafkaLog]:
    """A log on Kafka without topics."""
    with ExitStack() as undo:
        yield KafkaLog(settings, undo)
