"""prediction_consumer on Kafka."""

from __future__ import annotations

from contextlib import ExitStack

from services.prediction_consumer.wire import NAME, build
from shared.adapters.ingest import on_kafka
from shared.failpoints import Failpoints
from shared.ingest.following import Following
from shared.settings import Settings


def wire(settings: Settings, failpoints: Failpoints, undo: ExitStack) -> Following:
    """Return the stage on real ports."""
    return on_kafka(NAME, settings.topics.predictions, build, settings, failpoints, undo)
