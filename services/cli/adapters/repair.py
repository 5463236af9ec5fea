"""Forgets what services keep of their logs, wherever they keep it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from functools import partial

from services.detector.adapters.redis_checkpoints import RedisCheckpoints
from services.detector.logged_checkpoints import LoggedCheckpoints
from services.joiner.adapters.redis_view import RedisView
from shared.acts import Act, ActKind, act_record
from shared.adapters.kafka import KafkaReader, KafkaWriter
from shared.adapters.redis import connect
from shared.adapters.system_clock import SystemClock
from shared.settings import Settings
from shared.values import format_ts

NAME = "repair"


def forget(settings: Settings, shards: Iterable[int], partitions: Iterable[int], by: str) -> None:
    """Delete the views of these shards and the checkpoints of these partitions; one that is not there is no mistake.

    by: who wants it, as `driftline.control` keeps it.

    Raises:
        Unavailable: Kafka or Redis do not answer; the same again is safe.
    """
    shards, partitions = list(shards), list(partitions)
    with ExitStack() as undo:
        writer = undo.enter_context(closing(KafkaWriter(settings.kafka, NAME)))
        if partitions:
            client = undo.enter_context(closing(connect(settings.redis)))
            logged = LoggedCheckpoints(
                partial(KafkaReader, settings.kafka, NAME),
                writer,
                settings.topics.checkpoints,
                settings.installation,
            )
            for place in (logged, RedisCheckpoints(client, settings.installation)):
                for partition in partitions:
                    place.drop(partition)
        view = RedisView(settings.redis, installation=settings.installation, shards=settings.halves_partitions)
        undo.callback(view.close)
        for shard in shards:
            view.drop(shard, aloud=True)
        about = [*(f"view {shard}" for shard in shards), *(f"checkpoint {partition}" for partition in partitions)]
        act = Act(kind=ActKind.REPAIR, model="", at=format_ts(SystemClock().now_ms()), by=by, about=about)
        writer.send(act_record(settings.topics, act))
        writer.flush()
