"""The prediction consumer against a loop that only reads and parses the same records from the same broker.

The consumer does its whole job: it reads as a member of a group, decodes, normalises, hashes, builds blocks, writes
them, and commits what is acknowledged, blocks being acknowledged while the next ones are made. The other loop consumes
5,000 records at a time and calls `orjson.loads` on each. Both are timed from the moment their first record is there:
the consumer until its last offset is committed, the loop until it has parsed the last record. Joining and leaving the
group are not counted. The loop runs before the consumer and after it, and its mean counts, in one process, so that the
machine is the same for both, and under the garbage collection of a service.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import cycle

import orjson
from confluent_kafka import Consumer

from services.cli.bench import loans
from services.cli.bench.figure import Figure, Measure, Place
from services.cli.publication import Publication
from services.prediction_consumer.wire import NAME, build
from shared.adapters.kafka import KafkaGroupReader, KafkaWriter
from shared.adapters.kafka.client import Outage, client_settings
from shared.adapters.process import collect_rarely
from shared.adapters.system_clock import SystemClock
from shared.definition import Catalogue, control_records
from shared.identity import IdKey
from shared.ingest.options import IngestOptions
from shared.log import GroupReader, Outgoing, Record, Records, TopicPartition
from shared.settings import Settings

POLL_SECONDS = 1.0
BARE_RECORDS = 5_000
WARM_RUNS = 2  # until the broker's Java has compiled most of what it runs, on the cores that are measured


class ConsumerBench:
    """Seconds of the loop over seconds of the consumer."""

    needs_stack = True
    figures = (
        Figure(
            name="consumer.ratio",
            unit="ratio",
            what="events/s of prediction_consumer to those of a loop that only consumes and parses",
            floor=0.4,
        ),
        Figure(name="consumer.whole", unit="events/s", what="prediction_consumer, whole"),
        Figure(name="consumer.bare", unit="events/s", what="a loop that only consumes and parses"),
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Write the events and read nothing yet."""
        publication = loans.publication()
        settings = place.settings
        writer = KafkaWriter(settings.kafka, "bench")
        partitions = cycle(range(settings.input_partitions))
        for value, partition in zip(loans.predictions(place.events), partitions, strict=False):
            writer.send(Outgoing(settings.topics.predictions, value, partition=partition))
        writer.close()
        with collect_rarely():
            for _ in range(WARM_RUNS):
                _measure(settings, publication, place.events)
            yield partial(_measure, settings, publication, place.events)


BENCH = ConsumerBench()


def _measure(settings: Settings, publication: Publication, events: int) -> Mapping[str, float]:
    before, whole, after = _bare(settings, events), _whole(settings, publication, events), _bare(settings, events)
    bare = (before + after) / 2
    return {"consumer.ratio": bare / whole, "consumer.whole": events / whole, "consumer.bare": events / bare}


def _bare(settings: Settings, events: int) -> float:
    consumer = Consumer(
        {
            **client_settings(settings.kafka, "bare", Outage()),
            "group.id": f"bare-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([settings.topics.predictions])
    message = None
    while message is None:
        message = consumer.poll(POLL_SECONDS)
    begun = time.perf_counter()
    orjson.loads(message.value() or b"")
    parsed = 1
    while parsed < events:
        messages = consumer.consume(min(BARE_RECORDS, events - parsed), POLL_SECONDS)
        for message in messages:
            orjson.loads(message.value() or b"")
        parsed += len(messages)
    seconds = time.perf_counter() - begun
    consumer.close()
    return seconds


def _whole(settings: Settings, publication: Publication, events: int) -> float:
    catalogue = Catalogue()
    for offset, message in enumerate(control_records(settings.topics, publication.definition, publication.baseline)):
        catalogue.absorb(Record(message.topic, 0, offset, 0, message.key, message.value))
    group = settings.group(uuid.uuid4().hex)
    reader = _Timed(KafkaGroupReader(settings.kafka, group, settings.topics.predictions, NAME))
    stage = build(
        reader,
        KafkaWriter(settings.kafka, NAME),
        SystemClock(),
        settings.topics,
        catalogue,
        IdKey(settings.id_key.encode()),
        IngestOptions.of(settings),
    )
    reader.await_first()
    while reader.read < events:
        stage.step(POLL_SECONDS)
    stage.close()
    if sum(reader.committed.values()) != events or stage.counts[loans.MODEL, "rows"] != events:
        raise AssertionError(f"committed {reader.committed}, counted {stage.counts}")
    return reader.done - reader.begun


class _Timed:
    """A group reader that notes when its first record was there and when its last commit was answered."""

    def __init__(self, inner: GroupReader) -> None:
        self.assigned = inner.assigned
        self.revoked = inner.revoked
        self.lag = inner.lag
        self.pause, self.resume = inner.pause, inner.resume
        self.close = inner.close
        self.read = 0
        self.committed: dict[TopicPartition, int] = {}
        self.begun = self.done = 0.0
        self._inner = inner
        self._first: Sequence[Records] = ()

    def await_first(self) -> None:
        """Wait for one record and keep it for the next poll; time begins."""
        while not self._first:
            self._first = self._inner.poll(1, POLL_SECONDS)
        self.begun = time.perf_counter()

    def poll(self, max_records: int, timeout: float) -> Sequence[Records]:
        """Return the record in hand, then what the group reader has."""
        first, self._first = self._first, ()
        records = first or self._inner.poll(max_records, timeout)
        self.read += sum(map(len, records))
        return records

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit."""
        self._inner.commit(offsets)
        self.committed.update(offsets)
        self.done = time.perf_counter()
