"""An ingest service on Kafka."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Protocol

from shared.adapters.kafka import KafkaGroupReader, KafkaReader, KafkaWriter
from shared.adapters.system_clock import SystemClock
from shared.clock import Clock
from shared.control import FollowedControl
from shared.definition import Catalogue
from shared.failpoints import Failpoints
from shared.identity import IdKey
from shared.ingest.following import Following
from shared.ingest.options import IngestOptions
from shared.ingest.stage import IngestStage
from shared.log import GroupReader, Writer
from shared.settings import Settings
from shared.topics import Topics


class Build(Protocol):
    """What an ingest service is over its ports."""

    def __call__(
        self,
        reader: GroupReader,
        writer: Writer,
        clock: Clock,
        topics: Topics,
        catalogue: Catalogue,
        id_key: IdKey,
        options: IngestOptions,
        failpoints: Failpoints | None = None,
    ) -> IngestStage:
        """Return the service."""
        ...


def on_kafka(
    name: str, topic: str, build: Build, settings: Settings, failpoints: Failpoints, undo: ExitStack
) -> Following:
    """Return the service `name` as a reader of `topic`, after reading `driftline.control` to its end."""
    options = IngestOptions.of(settings)
    clock = SystemClock()
    control = FollowedControl(KafkaReader(settings.kafka, f"{name}-control"), settings.topics, clock)
    undo.callback(control.close)
    stage = build(
        KafkaGroupReader(settings.kafka, settings.group(name), topic, name),
        KafkaWriter(settings.kafka, name),
        clock,
        settings.topics,
        control.catalogue,
        IdKey(settings.id_key.encode()),
        options,
        failpoints,
    )
    undo.callback(stage.close)
    return Following(stage, control)
