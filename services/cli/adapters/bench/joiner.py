"""Rows per second of the joiner on Kafka and Redis, half of them predictions, then the labels of the same ids.

Timed from the moment the first blocks are read until the last compare-and-set is answered.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from services.cli.bench import loans
from services.cli.bench.figure import Figure, Measure, Place
from services.cli.bench.logs import halves
from services.joiner.adapters.redis_view import RedisView
from services.joiner.stage import JoinerStage
from shared.adapters.kafka import KafkaReader, KafkaWriter
from shared.adapters.process import collect_rarely
from shared.adapters.system_clock import SystemClock
from shared.definition import Catalogue, control_records
from shared.events.block import MAX_ROWS, BlockKind
from shared.identity import IdKey
from shared.log import Reader, Record
from shared.settings import Settings

POLL_SECONDS = 1.0


class JoinerBench:
    """Rows of halves per second."""

    needs_stack = True
    figures = (Figure(name="joiner.rows", unit="rows/s", what="joiner on Kafka and Redis, full blocks"),)

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Write the halves and join nothing yet."""
        settings = place.settings
        key = IdKey(settings.id_key.encode())
        catalogue = Catalogue()
        published = loans.publication()
        for offset, message in enumerate(control_records(settings.topics, published.definition, published.baseline)):
            catalogue.absorb(Record(message.topic, 0, offset, 0, message.key, message.value))
        writer = KafkaWriter(settings.kafka, "bench")
        pairs = place.events // 2
        blocks = 0
        for kind, payloads in (
            (BlockKind.PREDICTION, loans.predictions(pairs)),
            (BlockKind.LABEL, loans.labels(pairs)),
        ):
            for message in halves(kind, payloads, catalogue, key, settings.topics, MAX_ROWS):
                writer.send(message)
                blocks += 1
        writer.close()
        with collect_rarely():
            yield partial(_measure, settings, key, blocks, 2 * pairs)


BENCH = JoinerBench()


def _measure(settings: Settings, key: IdKey, blocks: int, rows: int) -> Mapping[str, float]:
    shards = range(settings.halves_partitions)
    view = RedisView(settings.redis, installation=uuid.uuid4().hex, shards=len(shards))
    reader = _Timed(KafkaReader(settings.kafka, "bench"))
    writer = KafkaWriter(settings.kafka, "bench")
    stage = JoinerStage(reader, writer, view, clock=SystemClock(), topics=settings.topics, key=key, shards=shards)
    while reader.read < blocks:
        stage.step(POLL_SECONDS)
    seconds = time.perf_counter() - reader.begun
    for shard in shards:
        view.drop(shard)
    stage.close()
    return {"joiner.rows": rows / seconds}


class _Timed:
    """A reader that notes when its first records were there."""

    def __init__(self, inner: Reader) -> None:
        self.assign = inner.assign
        self.seek = inner.seek
        self.bounds = inner.bounds
        self.position = inner.position
        self.lag = inner.lag
        self.partitions = inner.partitions
        self.topic_id, self.tell, self.told = inner.topic_id, inner.tell, inner.told
        self.close = inner.close
        self.read = 0
        self.begun = 0.0
        self._inner = inner

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
        """Return what the reader has."""
        records = self._inner.poll(max_records, timeout)
        if records and not self.read:
            self.begun = time.perf_counter()
        self.read += len(records)
        return records
