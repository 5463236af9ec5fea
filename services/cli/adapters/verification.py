"""A verification's edge: Kafka, Redis, and a bar with its rate when a person watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from importlib.metadata import version

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as At

from services.cli.adapters.meter import metered_bar
from services.cli.verify.installation import Installation
from services.cli.verify.report import Report
from services.cli.verify.run import verify
from services.cli.verify.told import Recounted, told
from services.detector.adapters.encryption import ciphers
from services.detector.adapters.kernel_cache import use_kernel_cache
from services.detector.adapters.redis_checkpoints import RedisCheckpoints
from services.detector.checkpoint_history import CheckpointHistory
from services.detector.keeping import Keeping, Place
from services.detector.sealing import Seal
from services.joiner.adapters.redis_view import RedisView
from shared.adapters.catalogue import published
from shared.adapters.kafka import KafkaReader
from shared.adapters.kafka.client import ANSWER_SECONDS, Outage, client_settings
from shared.adapters.redis import connect
from shared.adapters.system_clock import SystemClock
from shared.durations import parse_duration
from shared.errors import ConfigurationError
from shared.identity import IdKey
from shared.log import TopicPartition
from shared.settings import Settings

NAME = "verify"


def recounted(settings: Settings, identity: str) -> list[Recounted]:
    """Return the events of an alert's or an incident's id; raises like `told`."""
    use_kernel_cache()
    with closing(KafkaReader(settings.kafka, NAME)) as reader:
        return told(reader, settings.topics, identity)


def verified(settings: Settings, before_ms: int | None = None) -> Report:
    """Verify an installation; takes and raises what `verify` does."""
    use_kernel_cache()
    with _installation(settings) as here:
        return verify(here, before_ms)


@contextmanager
def _installation(settings: Settings) -> Iterator[Installation]:
    topics, seal = settings.topics, Seal(version("driftline"), ciphers(settings))
    open_reader = partial(KafkaReader, settings.kafka, NAME)
    view = RedisView(settings.redis, installation=settings.installation, shards=topics.halves_partitions)
    with closing(view), closing(connect(settings.redis)) as client, metered_bar() as meter:
        yield Installation(
            topics=topics,
            name=settings.installation,
            key=IdKey(settings.id_key.encode()),
            heartbeat_ms=_heartbeat_ms(settings),
            code_version=version("driftline"),
            catalogue=published(settings, NAME),
            open_reader=open_reader,
            view=view,
            keeping=Keeping([Place(RedisCheckpoints(client, settings.installation))], seal, SystemClock()),
            logged=CheckpointHistory(open_reader, topics.checkpoints, settings.installation, seal),
            committed=partial(_committed, settings),
            meter=meter,
        )


def _committed(settings: Settings, service: str, logs: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
    """Return where a service goes on, of the logs of which its group has committed anything."""
    # In the group only to ask: it subscribes to nothing, and so never joins.
    configuration = {**client_settings(settings.kafka, NAME, Outage()), "group.id": settings.group(service)}
    member = Consumer(configuration)
    try:
        found = member.committed([At(*source) for source in logs], timeout=ANSWER_SECONDS)
    except KafkaException:
        return {}
    finally:
        member.close()
    return {TopicPartition(at.topic, at.partition): at.offset for at in found if at.offset >= 0}


def _heartbeat_ms(settings: Settings) -> int:
    try:
        return parse_duration(settings.heartbeat)
    except ValueError as exc:
        raise ConfigurationError("DRIFTLINE_HEARTBEAT", str(exc)) from exc
