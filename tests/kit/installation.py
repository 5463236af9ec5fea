"""One installation on the session's Kafka and Redis, as someone with access to both sees it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from services.cli.adapters.event_producer import EventProducer
from services.cli.adapters.pipeline import Pipeline
from services.cli.backtest.lines import Line
from services.cli.demo.order import Event as Recorded
from services.cli.demo.order import request_id
from services.cli.publication import Publication, publish
from services.detector.adapters.redis_checkpoints import RedisCheckpoints
from services.detector.checkpoints import Checkpoint
from services.joiner.adapters.redis_view import RedisView
from services.joiner.view import Snapshot
from shared.adapters.kafka import KafkaAdmin, KafkaReader, KafkaWriter
from shared.adapters.kafka.client import Outage, client_settings
from shared.adapters.redis import connect
from shared.control import read_whole
from shared.log import Record
from shared.settings import Settings
from tests.kit.keeping import kept
from tests.kit.waiting import PATIENCE_SECONDS, until


class Event(NamedTuple):
    """What a producer writes."""

    topic: str
    key: str | None
    value: bytes


class Installation:
    """Topics with the definitions of some models. Close it while the servers still run."""

    def __init__(self, settings: Settings, publications: Sequence[Publication]) -> None:
        self.settings, self.topics = settings, settings.topics
        KafkaAdmin(settings.kafka).create(self.topics.specs())
        writer = KafkaWriter(settings.kafka, "test")
        for publication in publications:
            publish(writer, self.topics, publication)
        writer.close()
        self._reader = KafkaReader(settings.kafka, "test")
        self._redis = connect(settings.redis)
        self._pipeline = Pipeline(settings, [publication.definition.model for publication in publications])
        self._producers: list[EventProducer] = []
        self._stations = {station.name: station for station in self._pipeline.stations()}

    def produce(self, events: Iterable[Event]) -> None:
        """Write events as a company's own service would, and wait until the broker has them."""
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        producer = Producer(
            {
                **client_settings(self.settings.kafka, "test", Outage()),
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.max.bytes": 2_000_000,
            }
        )
        for event in events:
            producer.produce(event.topic, event.value, event.key, on_delivery=delivered)
            producer.poll(0)
        assert producer.flush(PATIENCE_SECONDS) == 0
        assert failures == []

    def replaying(self, model: str, lines: Sequence[Line]) -> EventProducer:
        """Begin to write recorded events, no faster than they are consumed, so that labels do not overtake."""
        producer = EventProducer(self.settings.kafka, self.topics, [model], None, self._pipeline.consumed)
        self._producers.append(producer)
        producer.start(
            Recorded(line.ts_ms - lines[0].ts_ms, line.is_label, model, request_id(line.value), line.value)
            for line in lines
        )
        return producer

    def wait_for(self, *services: str) -> None:
        """Return when these services are done with their logs as they are now, and will never go back."""
        for name in services:
            until(self._stations[name].behind, lambda behind: behind == 0)

    def records(self, topic: str) -> list[Record]:
        """Return what a topic holds, each partition in order."""
        found = sorted(read_whole(self._reader, topic), key=lambda record: (record.partition, record.offset))
        self._reader.assign({})
        return found

    def view(self) -> dict[int, Snapshot]:
        """Return where the joiner has each shard."""
        view = RedisView(
            self.settings.redis, installation=self.settings.installation, shards=self.topics.halves_partitions
        )
        try:
            return {shard: view.load(shard) for shard in range(self.topics.halves_partitions)}
        finally:
            view.close()

    def change_entry(self, shard: int) -> tuple[bytes, int]:
        """Change one entry of a shard behind the joiner's back; return its id, and where the shard stands."""
        keys = f"{{driftline:{self.settings.installation}:{self.topics.halves_partitions}:{shard}}}"
        kept: Any = self._redis  # who types its answers for every server at once
        identity = kept.hrandfield(f"{keys}:g0")
        entry = kept.hget(f"{keys}:g0", identity)
        kept.hset(f"{keys}:g0", identity, entry[:-1] + bytes([entry[-1] ^ 1]))
        return identity, int(kept.hget(f"{keys}:m", "pos"))

    def checkpoints(self) -> dict[int, Checkpoint]:
        """Return where the detector has each partition."""
        place = RedisCheckpoints(self._redis, self.settings.installation)
        found = {number: kept(place, number) for number in range(self.topics.observations_partitions)}
        return {number: checkpoint for number, checkpoint in found.items() if checkpoint is not None}

    def close(self) -> None:
        """Leave."""
        for producer in self._producers:
            producer.stop()
        self._pipeline.close()
        self._reader.close()
        self._redis.close()
