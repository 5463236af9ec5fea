"""A joiner on Kafka and Redis, over halves of the benchmarks' model: predictions, then the labels of the same ids."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from services.cli.bench import loans
from services.cli.bench.figure import Place
from services.cli.bench.logs import halves
from services.joiner.account import Account
from services.joiner.adapters.redis_view import RedisView
from services.joiner.adapters.threads import Threads
from services.joiner.stage import JoinerStage
from shared.adapters.kafka import KafkaReader, KafkaWriter
from shared.adapters.system_clock import SystemClock
from shared.definition import Catalogue, control_records
from shared.events.block import MAX_ROWS, BlockKind
from shared.identity import IdKey
from shared.log import Reached, Reader, Record, TopicPartition
from shared.settings import Settings
from shared.shares import FixedShares

POLL_SECONDS = 1.0


class Written(NamedTuple):
    """What a log of halves holds."""

    settings: Settings
    blocks: int
    rows: int


class Joined(NamedTuple):
    """How long the joiner took for it, from the first records to the last compare-and-set, and what it counted."""

    seconds: float
    account: Account


def write(place: Place) -> Written:
    """Write the halves of the place's events in full blocks."""
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
    return Written(settings, blocks, 2 * pairs)


def join(written: Written, *, is_acknowledged: bool = False) -> Joined:
    """Fold all of it into an empty view; `is_acknowledged`: where every output is known to be written already."""
    settings = written.settings
    shards = range(settings.halves_partitions)
    view = RedisView(settings.redis, installation=uuid.uuid4().hex, shards=len(shards))
    inner = KafkaReader(settings.kafka, "bench")
    note = f"{inner.topic_id(settings.topics.halves)} {inner.topic_id(settings.topics.observations)}"
    reader = _Timed(inner, note if is_acknowledged else None)
    threads = Threads()
    stage = JoinerStage(
        reader,
        KafkaWriter(settings.kafka, "bench"),
        view,
        clock=SystemClock(),
        topics=settings.topics,
        key=IdKey(settings.id_key.encode()),
        shares=FixedShares(shards),
        asking=threads,
    )
    while reader.read < written.blocks:
        stage.step(POLL_SECONDS)
    seconds = time.perf_counter() - reader.begun
    for shard in shards:
        view.drop(shard)
    stage.close()
    threads.close()
    return Joined(seconds, stage.account)


class _Timed:
    """A reader that notes when its first records were there. `note`: the group was told of the whole log with it."""

    def __init__(self, inner: Reader, note: str | None) -> None:
        self.assign = inner.assign
        self.seek = inner.seek
        self.bounds = inner.bounds
        self.position = inner.position
        self.lag = inner.lag
        self.partitions = inner.partitions
        self.topic_id, self.tell = inner.topic_id, inner.tell
        self.close = inner.close
        self.read = 0
        self.begun = 0.0
        self._inner, self._note = inner, note

    def told(self, source: TopicPartition) -> Reached | None:
        """Return how far the log is done with."""
        return None if self._note is None else Reached(self.bounds(source).high, self._note)

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
        """Return what the reader has."""
        records = self._inner.poll(max_records, timeout)
        if records and not self.read:
            self.begun = time.perf_counter()
        self.read += len(records)
        return records
