"""ground_truth_consumer on Kafka."""

from __future__ import annotations

from contextlib import ExitStack

from services.ground_truth_consumer.wire import NAME, build
from shared.adapters.catalogue import published
from shared.adapters.kafka import KafkaGroupReader, KafkaWriter
from shared.adapters.system_clock import SystemClock
from shared.failpoints import Failpoints
from shared.identity import IdKey
from shared.ingest.options import IngestOptions
from shared.ingest.stage import IngestStage
from shared.settings import Settings


def wire(settings: Settings, failpoints: Failpoints, undo: ExitStack) -> IngestStage:
    """Return the stage on real ports, after reading `driftline.control` to its end."""
    options = IngestOptions.of(settings)
    catalogue = published(settings, NAME)
    stage = build(
        KafkaGroupReader(settings.bootstrap, settings.group(NAME), [settings.topics.ground_truth], NAME),
        KafkaWriter(settings.bootstrap, NAME),
        SystemClock(),
        settings.topics,
        catalogue,
        IdKey(settings.id_key.encode()),
        options,
        failpoints,
    )
    undo.callback(stage.close)
    return stage
