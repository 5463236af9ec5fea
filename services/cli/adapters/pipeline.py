"""A running pipeline seen from outside: positions, counters and what it said; changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import redis
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka import TopicPartition as At
from confluent_kafka.admin import AdminClient

from services.cli.demo.account import Account
from services.cli.demo.findings import Findings
from services.cli.demo.passage import Offsets, Station
from services.cli.logs import sources
from services.detector.adapters.redis_checkpoints import RedisCheckpoints
from services.joiner.adapters.redis_view import RedisView
from services.joiner.meta import summary
from shared.adapters.kafka import KafkaReader
from shared.errors import Unavailable
from shared.log import TopicPartition
from shared.settings import Settings

BATCH = 1_000


class Pipeline:
    """One installation's services. Close it when done."""

    def __init__(self, settings: Settings, models: Iterable[str]) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._models = tuple(models)
        self._admin = AdminClient({"bootstrap.servers": settings.bootstrap, "log_level": 0})
        self._offsets = KafkaReader(settings.bootstrap, "pipeline-offsets")
        self._events = KafkaReader(settings.bootstrap, "pipeline-events")
        self._view = RedisView(
            settings.redis_url, installation=settings.installation, shards=self._topics.halves_partitions
        )
        self._redis = redis.Redis.from_url(settings.redis_url)
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
        said = (self._topics.alerts, self._topics.retraining, self._topics.dead_letters)
        self._events.assign({source: 0 for topic in said for source in sources(self._events, topic)})

    def stations(self) -> list[Station]:
        """Return the services in order of flow."""
        ingest = {"prediction_consumer": self._topics.predictions, "ground_truth_consumer": self._topics.ground_truth}
        return [
            *(
                Station(name, partial(self._ends, topic), partial(self._committed, name, topic))
                for name, topic in ingest.items()
            ),
            Station("joiner", partial(self._ends, self._topics.halves), self._joined),
            Station("detector", partial(self._ends, self._topics.observations), self._detected),
            Station(
                "retrain_trigger",
                partial(self._ends, self._topics.alerts),
                partial(self._committed, "retrain_trigger", self._topics.alerts),
            ),
        ]

    def is_ready(self) -> bool:
        """Return whether both consumers own their topics."""
        groups = [self._group("prediction_consumer"), self._group("ground_truth_consumer")]
        described = self._admin.describe_consumer_groups(groups)
        try:
            return all(future.result().state is ConsumerGroupState.STABLE for future in described.values())
        except KafkaException:
            return False  # no such group yet

    def accounts(self) -> dict[str, Account]:
        """Return what the joiner has counted so far, of every model."""
        accounts = {model: Account() for model in self._models}
        for source in self._logs[self._topics.halves]:
            for model, counters in summary(self._view.load(source.partition).meta).items():
                if model in accounts:
                    accounts[model].add(counters)
        return accounts

    def listen(self) -> Findings:
        """Return what the pipeline has said up to now."""
        while records := self._events.poll(BATCH, 0.0):
            for record in records:
                self.findings.absorb(record)
        return self.findings

    def close(self) -> None:
        """Leave; idempotent."""
        self._offsets.close()
        self._events.close()
        self._view.close()
        self._redis.close()

    def _group(self, service: str) -> str:
        return f"{self._settings.topic_prefix}driftline-{self._settings.installation}-{service}"

    def _ends(self, topic: str) -> Offsets:
        return {source: self._offsets.bounds(source).high for source in self._logs[topic]}

    def _committed(self, service: str, topic: str) -> Offsets:
        asked = ConsumerGroupTopicPartitions(self._group(service), [At(*source) for source in self._logs[topic]])
        (future,) = self._admin.list_consumer_group_offsets([asked]).values()
        try:
            found = future.result().topic_partitions
        except KafkaException as exc:
            raise Unavailable(f"the broker does not say what {service} has committed: {exc}") from exc
        return {TopicPartition(at.topic, at.partition): max(at.offset, 0) for at in found}

    def _joined(self) -> Offsets:
        positions = {source: self._view.load(source.partition).position for source in self._logs[self._topics.halves]}
        return {source: position or 0 for source, position in positions.items()}

    def _detected(self) -> Offsets:
        kept = {source: self._checkpoints.get(source.partition) for source in self._logs[self._topics.observations]}
        return {source: checkpoint.position for source, checkpoint in kept.items() if checkpoint is not None}
