"""Erasures on Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from services.cli.adapters.environment import actor
from services.cli.erasure import Erased, erase, remains
from shared.adapters.kafka import KafkaAdmin, KafkaReader, KafkaWriter
from shared.adapters.system_clock import SystemClock
from shared.control import read_catalogue
from shared.identity import IdKey
from shared.settings import Settings

NAME = "erase"


def erased(settings: Settings, model: str, request_ids: Sequence[str], by: str | None) -> Erased:
    """Let the joiner forget requests, and say what remains of them; raises like `erase`."""
    topics, key = settings.topics, IdKey(settings.id_key.encode())
    with (
        closing(KafkaReader(settings.kafka, NAME)) as reader,
        closing(KafkaWriter(settings.kafka, NAME)) as writer,
    ):
        requests, records = erase(reader, writer, topics, key, model, request_ids, actor(by), SystemClock().now_ms())
        kept = (topics.predictions, topics.ground_truth, topics.halves, topics.observations, topics.dead_letters)
        retention_ms = KafkaAdmin(settings.kafka, NAME).retention_ms(kept)
        left = remains(read_catalogue(reader, topics), topics, model, retention_ms)
    return Erased(model=model, requests=requests, records=records, remains=left)
