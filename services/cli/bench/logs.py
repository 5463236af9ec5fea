"""The logs between the services, made in memory by the services' own code, in blocks of any size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from services.cli.bench.loans import START_MS
from services.ground_truth_consumer import wire as ground_truth_consumer
from services.joiner.adapters.memory_view import MemoryView
from services.joiner.columns import identities
from services.joiner.fold import Fold
from services.joiner.meta import Meta
from services.joiner.shapes import Shapes
from services.joiner.words import Words
from services.prediction_consumer import wire as prediction_consumer
from shared.definition import Catalogue
from shared.events.block import BlockKind, decode
from shared.identity import IdKey
from shared.ingest.gathering import OpenBlock, sealed
from shared.ingest.intake import Refused
from shared.log import Outgoing, Record, Records, TopicPartition
from shared.topics import Topics

SHARD = 0


def halves(
    kind: BlockKind, payloads: Iterable[bytes], catalogue: Catalogue, key: IdKey, topics: Topics, rows: int
) -> Iterator[Outgoing]:
    """Yield the records of `driftline.halves` that a consumer makes of events, `rows` in a block."""
    service = prediction_consumer if kind is BlockKind.PREDICTION else ground_truth_consumer
    intake = service.intake(topics, catalogue, key)
    first, events = 0, iter(payloads)
    while values := list(islice(events, rows)):
        offsets = range(first, first + len(values))
        first = offsets.stop
        records = Records(TopicPartition(topics.predictions, 0), offsets, [START_MS + at for at in offsets], values)
        block: OpenBlock | None = None
        for admitted in intake.admit(records, stale_at_ms=None):
            if isinstance(admitted, Refused):
                raise admitted.malformed
            block = block or OpenBlock(admitted.model, admitted.model_version, admitted.partition, 0.0)
            block.add(admitted.rows)
        if block is not None:
            for message, _, _ in sealed(kind, topics, block):
                yield message


def appended(messages: Iterable[Outgoing], first: int = 0) -> list[Record]:
    """Return the records that a log holds after `messages` were written to it from offset `first` on."""
    return [
        Record(m.topic, SHARD, offset, START_MS + offset, m.key, m.value, m.headers)
        for offset, m in enumerate(messages, first)
    ]


def joined(log: Sequence[Record], key: IdKey, topics: Topics) -> list[Record]:
    """Return the observations of a log of halves, as a joiner with an empty view writes them, a record at a time."""
    view, meta, shapes = MemoryView(), Meta.fresh(topics.observations_partitions), Shapes(Words())
    position: int | None = None
    written: list[Outgoing] = []
    for record in log:
        block = decode(record)
        ids = [] if block.batch is None else identities(block.batch)
        reading = view.read(SHARD, position, ids)
        if reading is None:
            raise AssertionError("a view in memory has one writer")
        fold = Fold(SHARD, key, meta, shapes, reading.entries)
        written += [emission.outgoing(topics.observations) for emission in fold.fold(record, block)]
        change = fold.change()
        view.advance(SHARD, position, change)
        position = change.position
    return appended(written)
