"""Traces on Kafka."""

from __future__ import annotations

from contextlib import closing

from services.cli.adapters.meter import metered_bar
from services.cli.trace.found import Trace
from services.cli.trace.run import trace
from shared.adapters.kafka import KafkaReader
from shared.identity import IdKey
from shared.settings import Settings


def traced(settings: Settings, model: str, request_id: str) -> Trace:
    """Return what the logs say of one request; raises like `trace`."""
    key = IdKey(settings.id_key.encode())
    with closing(KafkaReader(settings.kafka, "trace")) as reader, metered_bar() as meter:
        return trace(reader, settings.topics, key, meter, model, request_id)
