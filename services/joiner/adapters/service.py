"""The joiner on Kafka and Redis."""

from __future__ import annotations

from contextlib import ExitStack

from services.joiner.adapters.redis_view import RedisView
from services.joiner.adapters.threads import Threads
from services.joiner.stage import JoinerStage
from shared.adapters.kafka import KafkaReader, KafkaWriter
from shared.adapters.shares import shares
from shared.adapters.system_clock import SystemClock
from shared.errors import ConfigurationError, Malformed
from shared.failpoints import Failpoints
from shared.identity import IdKey
from shared.settings import Settings
from shared.values import parse_ts


def wire(settings: Settings, failpoints: Failpoints, undo: ExitStack) -> JoinerStage:
    """Return the stage on real ports."""
    shards = settings.halves_partitions
    threads = Threads()
    undo.callback(threads.close)
    stage = JoinerStage(
        KafkaReader(settings.kafka, JoinerStage.name, settings.group(JoinerStage.name)),
        KafkaWriter(settings.kafka, JoinerStage.name),
        RedisView(settings.redis, installation=settings.installation, shards=shards, is_owner=True),
        clock=SystemClock(),
        topics=settings.topics,
        key=IdKey(settings.id_key.encode()),
        shares=shares(settings, JoinerStage.name, settings.topics.halves, shards),
        confirmed_ms=_confirmed_ms(settings),
        failpoints=failpoints,
        asking=threads,
    )
    undo.callback(stage.close)
    return stage


def _confirmed_ms(settings: Settings) -> int:
    try:
        return parse_ts(settings.confirmed_log_time) if settings.confirmed_log_time else 0
    except Malformed as exc:
        raise ConfigurationError("DRIFTLINE_CONFIRMED_LOG_TIME", exc.detail) from exc
