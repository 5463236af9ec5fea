"""ground_truth_consumer over its ports."""

from __future__ import annotations

from services.ground_truth_consumer.decode import LabelCodec
from shared.clock import Clock
from shared.definition import Catalogue
from shared.events.block import BlockKind
from shared.failpoints import Failpoints
from shared.identity import IdKey
from shared.ingest.intake import Intake
from shared.ingest.options import IngestOptions
from shared.ingest.stage import IngestStage
from shared.log import GroupReader, Writer
from shared.topics import Topics

NAME = "ground_truth_consumer"


def intake(topics: Topics, catalogue: Catalogue, id_key: IdKey) -> Intake:
    """Return what turns one label record into a row."""
    return Intake(BlockKind.LABEL, topics, catalogue, id_key, LabelCodec)


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
    """Return the service. `reader` reads `topics.ground_truth`; it takes up what `catalogue` absorbs meanwhile."""
    return IngestStage(
        NAME, intake(topics, catalogue, id_key), reader, writer, clock, topics, options, failpoints=failpoints
    )
