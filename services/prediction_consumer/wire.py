"""prediction_consumer over its ports."""

from __future__ import annotations

from functools import partial

from services.prediction_consumer.decode import PredictionCodec
from shared.clock import Clock
from shared.definition import Catalogue
from shared.events.block import BlockKind
from shared.failpoints import Failpoints
from shared.identity import IdKey
from shared.ingest.intake import Intake
from shared.ingest.options import IngestOptions
from shared.ingest.stage import IngestStage
from shared.ingest.ticks import Ticks
from shared.log import GroupReader, Writer
from shared.topics import Topics

NAME = "prediction_consumer"


def intake(topics: Topics, catalogue: Catalogue, id_key: IdKey) -> Intake:
    """Return what turns one prediction record into a row."""
    return Intake(BlockKind.PREDICTION, topics, catalogue, id_key, partial(PredictionCodec, id_key=id_key))


def build(
    reader: GroupReader,
    writer: Writer,
    clock: Clock,
    topics: Topics,
    catalogue: Catalogue,
    id_key: IdKey,
    options: IngestOptions,
    failpoints: Failpoints | None = None,
) -> IngestStage:
    """Return the service. `reader` reads `topics.predictions`; it takes up what `catalogue` absorbs meanwhile."""
    return IngestStage(
        NAME,
        intake(topics, catalogue, id_key),
        reader,
        writer,
        clock,
        topics,
        options,
        ticks=Ticks(topics, clock.monotonic()),
        failpoints=failpoints,
    )
