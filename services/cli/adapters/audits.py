"""Audits on Kafka."""

from __future__ import annotations

from contextlib import closing

from services.cli.adapters.meter import metered_bar
from services.cli.audit.entries import Entry
from services.cli.audit.run import audit
from shared.adapters.kafka import KafkaReader
from shared.settings import Settings


def audited(settings: Settings, *, since_ms: int | None, until_ms: int | None, model: str | None) -> list[Entry]:
    """Return what is recorded of people and decisions; raises like `audit`."""
    with closing(KafkaReader(settings.kafka, "audit")) as reader, metered_bar() as meter:
        return audit(reader, settings.topics, meter, since_ms=since_ms, until_ms=until_ms, model=model)
