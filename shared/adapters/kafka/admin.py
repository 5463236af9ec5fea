"""Creates topics, compares them with what they must be, and tells a topic from its namesake."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ClusterMetadata, ConfigResource, NewTopic, TopicMetadata

from shared.access import KafkaAccess
from shared.adapters.kafka.client import (
    ANSWER_SECONDS,
    ASK_AGAIN_SECONDS,
    Outage,
    cause,
    client_settings,
    refused_or,
    renew,
    translate,
)
from shared.errors import Unavailable
from shared.topics import TopicSpec

_ENOUGH_REPLICAS = 3
_AT_LEAST = frozenset({"retention.ms", "max.message.bytes"})  # more of these does no harm
_FOREVER = "-1"


class KafkaAdmin:
    """A short-lived client for `driftline topics` and for start-up checks."""

    def __init__(self, access: KafkaAccess, name: str = "admin") -> None:
        self._access = access
        self._client = AdminClient(client_settings(access, name, Outage()))

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create the topics that do not exist and return their names.

        Three replicas, two of them in sync, where there are three brokers; one replica on anything smaller.
        """
        enough = len(self._metadata().brokers) >= _ENOUGH_REPLICAS
        replicas = _ENOUGH_REPLICAS if enough else 1
        safe = {"min.insync.replicas": "2"} if enough else {}
        wanted = [
            NewTopic(
                spec.name, num_partitions=spec.partitions, replication_factor=replicas, config={**safe, **spec.config}
            )
            for spec in specs
        ]
        created = []
        for name, answer in self._client.create_topics(wanted, operation_timeout=ANSWER_SECONDS).items():
            try:
                answer.result(timeout=2 * ANSWER_SECONDS)
            except KafkaException as exc:
                if cause(exc).code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    continue
                raise translate(cause(exc), f"topic {name}") from exc
            created.append(name)
        self._await_leaders(created)
        return sorted(created)

    def check(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Return how the cluster differs from `specs`, one sentence per difference."""
        existing = {name: len(topic.partitions) for name, topic in self._metadata().topics.items()}
        differences = [f"{spec.name} does not exist" for spec in specs if spec.name not in existing]
        present = [spec for spec in specs if spec.name in existing]
        differences += [
            f"{spec.name} has {existing[spec.name]} partitions, not {spec.partitions}"
            for spec in present
            if existing[spec.name] != spec.partitions
        ]
        for spec, config in zip(present, self._configs(present), strict=True):
            differences += [
                f"{spec.name} has {key}={config.get(key)}, not {value}{' or more' if key in _AT_LEAST else ''}"
                for key, value in spec.config.items()
                if not _fits(key, config.get(key), value)
            ]
        return differences

    def retention_ms(self, topics: Sequence[str]) -> dict[str, str | None]:
        """Return for how long each topic keeps its records, `-1` for ever; a topic that does not exist is left out."""
        existing = self._metadata().topics
        present = [TopicSpec(name, 0) for name in topics if name in existing]
        configs = zip(present, self._configs(present), strict=True)
        return {spec.name: config.get("retention.ms") for spec, config in configs}

    def topic_id(self, topic: str) -> str:
        """Return the UUID that tells a topic from one that had the same name before."""
        renew(self._client, self._access)  # readers ask as long as they live
        self._metadata()  # the client would wait minutes for a controller that has died since it last asked who it is
        answer = self._client.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_SECONDS)[topic]
        try:
            return str(answer.result(timeout=2 * ANSWER_SECONDS).topic_id)
        except KafkaException as exc:
            raise translate(cause(exc), f"topic {topic}") from exc

    def _await_leaders(self, created: Sequence[str]) -> None:
        """Wait until the brokers know what their controller has created."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not all(_has_leaders(self._metadata().topics.get(name)) for name in created):
            if time.monotonic() > deadline:
                raise Unavailable(f"no leader yet for {', '.join(created)}")
            time.sleep(ASK_AGAIN_SECONDS)

    def _metadata(self) -> ClusterMetadata:
        """Return what the cluster is, once it has a controller: the client asks nobody who that is before it waits."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                found = self._client.list_topics(timeout=ANSWER_SECONDS)
            except KafkaException as exc:
                raise refused_or(cause(exc), "list topics", self._access) from exc
            if found.controller_id in found.brokers or time.monotonic() > deadline:
                return found
            time.sleep(ASK_AGAIN_SECONDS)

    def _configs(self, specs: Sequence[TopicSpec]) -> list[dict[str, str]]:
        if not specs:
            return []
        resources = [ConfigResource(ConfigResource.Type.TOPIC, spec.name) for spec in specs]
        answers: dict[Any, Any] = self._client.describe_configs(resources, request_timeout=ANSWER_SECONDS)
        configs = []
        for resource in resources:
            try:
                entries = answers[resource].result(timeout=2 * ANSWER_SECONDS)
            except KafkaException as exc:
                raise translate(cause(exc), f"topic {resource.name}") from exc
            configs.append({name: entry.value for name, entry in entries.items()})
        return configs


def _has_leaders(topic: TopicMetadata | None) -> bool:
    return topic is not None and bool(topic.partitions) and all(at.leader >= 0 for at in topic.partitions.values())


def _fits(key: str, found: str | None, wanted: str) -> bool:
    if key in _AT_LEAST and found is not None:
        return found == _FOREVER or int(found) >= int(wanted)
    return found == wanted
