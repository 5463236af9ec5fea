"""The log, in memory and on Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.kit.logs import KafkaLog, LogUnderTest, MemoryLog


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.e2e)])
def log(request: pytest.FixtureRequest) -> Iterator[LogUnderTest]:
    """A log without topics."""
    if request.param == "memory":
        yield MemoryLog()
        return
    with ExitStack() as undo:
        yield KafkaLog(request.getfixturevalue("settings"), undo)
