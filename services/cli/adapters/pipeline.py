"""A running pipeline seen from outside: positions, counters and what it said; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as At

from services.cli.demo.account import Account
from services.cli.demo.findings import Findings
from services.cli.demo.passage import Offsets, Station
from services.detector.adapters.redis_checkpoints import RedisCheckpoints
from services.joiner.adapters.redis_view import RedisView
from services.joiner.meta import summary
from shared.adapters.kafka import KafkaReader
from shared.adapters.kafka.client import ANSWER_SECONDS, Outage, client_settings
from shared.adapters.redis import connect
from shared.control import sources
from shared.events.block import SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, BlockKind, decode
from shared.history import history
from shared.log import Record, TopicPartition
from shared.settings import Settings

BATCH = 1_000
POLL_SECONDS = 0.1


class Pipeline:
    """One installation's services. Close it when done."""

    def __init__(self, settings: Settings, models: Iterable[str]) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._models = tuple(models)
        self._inputs = {
            "prediction_consumer": self._topics.predictions,
            "ground_truth_consumer": self._topics.ground_truth,
            "retrain_trigger": self._topics.alerts,
        }
        # In the services' groups only to ask what these have committed: they subscribe to nothing, and so never join.
        self._members = {
            service: Consumer(
                {**client_settings(settings.kafka, "pipeline", Outage()), "group.id": settings.group(service)}
            )
            for service in self._inputs
        }
        self._offsets = KafkaReader(settings.kafka, "pipeline-offsets")
        self._events = KafkaReader(settings.kafka, "pipeline-events")
        self._view = RedisView(
            settings.redis, installation=settings.installation, shards=self._topics.halves_partitions
        )
        self._redis = connect(settings.redis)
        self._checkpoints = RedisCheckpoints(self._redis, settings.installation)
        self._logs = {
            name: sources(self._offsets, name)
            for name in (
                self._topics.predictions,
                self._topics.ground_truth,
                self._topics.halves,
                self._topics.observations,
                self._topics.alerts,
            )
        }
        self.findings = Findings(self._topics)
        self._last: Offsets = {}  # behind the last record read of each log
        said = (self._topics.alerts, self._topics.retraining, self._topics.dead_letters)
        self._events.assign({source: 0 for topic in said for source in sources(self._events, topic)})

    def stations(self) -> list[Station]:
        """Return the services in order of flow."""
        return [
            self._member("prediction_consumer"),
            self._member("ground_truth_consumer"),
            Station("joiner", partial(self._ends, self._topics.halves), self._joined),
            Station("detector", partial(self._ends, self._topics.observations), self._detected),
            Station("retrain_trigger", self._said, partial(self._committed, "retrain_trigger")),
        ]

    def consumed(self) -> int:
        """Return how many events the two consumers are done with; from any thread."""
        return sum(
            sum(self._committed(service).values()) for service in ("prediction_consumer", "ground_truth_consumer")
        )

    def accounts(self) -> dict[str, Account]:
        """Return what the joiner has counted so far, of every model."""
        accounts = {model: Account() for model in self._models}
        for source in self._logs[self._topics.halves]:
            for model, counters in summary(self._view.load(source.partition).meta).items():
                if model in accounts:
                    accounts[model].add(counters)
        return accounts

    def read_again(self) -> dict[str, Counter[BlockKind]]:
        """Return of each model and kind how many events a consumer has read more than once."""
        found = {model: Counter[BlockKind]() for model in self._models}
        seen: set[tuple[str, int, int]] = set()
        reader = KafkaReader(self._settings.kafka, "pipeline-halves")
        with closing(reader):
            for source in sources(reader, self._topics.halves):
                low, high = reader.bounds(source)
                for record in history(reader, source, low, high):
                    block = decode(record)
                    if block.batch is None or block.model not in found:
                        continue
                    columns = (block.batch.column(name).to_pylist() for name in (SRC_TOPIC, SRC_PARTITION, SRC_OFFSET))
                    for at in zip(*columns, strict=True):
                        found[block.model][block.kind] += at in seen
                        seen.add(at)
        return found

    def listen(self) -> Findings:
        """Return what the pipeline has said up to now."""
        while records := self._events.poll(BATCH, 0.0):
            self._absorb(records)
        return self.findings

    def close(self) -> None:
        """Leave; idempotent."""
        for member in self._members.values():
            member.close()
        self._offsets.close()
        self._events.close()
        self._view.close()
        self._redis.close()

    def _member(self, service: str) -> Station:
        return Station(service, partial(self._ends, self._inputs[service]), partial(self._committed, service))

    def _ends(self, topic: str) -> Offsets:
        return {source: self._offsets.bounds(source).high for source in self._logs[topic]}

    def _said(self) -> Offsets:
        """Return where the alerts end; their logs go on with the ends of transactions, which nobody reads."""
        ends = self._ends(self._topics.alerts)
        while any(self._events.position(source) < end for source, end in ends.items()):
            self._absorb(self._events.poll(BATCH, POLL_SECONDS))
        return {source: self._last.get(source, 0) for source in ends}

    def _absorb(self, records: Sequence[Record]) -> None:
        for record in records:
            self.findings.absorb(record)
            self._last[record.source] = record.offset + 1

    def _committed(self, service: str) -> Offsets:
        member = self._members[service]
        topic = self._inputs[service]
        try:
            found = member.committed([At(*source) for source in self._logs[topic]], timeout=ANSWER_SECONDS)
        except KafkaException:
            return {}  # a group that begins has no coordinator for a moment; look again
        return {TopicPartition(at.topic, at.partition): max(at.offset, 0) for at in found}

    def _joined(self) -> Offsets:
        positions = {source: self._view.load(source.partition).position for source in self._logs[self._topics.halves]}
        return {source: position or 0 for source, position in positions.items()}

    def _detected(self) -> Offsets:
        kept = {
            source: self._checkpoints.candidates(source.partition) for source in self._logs[self._topics.observations]
        }
        return {source: newest[0].position for source, newest in kept.items() if newest}
