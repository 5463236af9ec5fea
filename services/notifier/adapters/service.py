"""The notifier on Faust, Kafka, Redis and HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from services.notifier.adapters.redis_books import RedisBooks
from services.notifier.routing import Routes
from services.notifier.stage import NotifierStage
from services.notifier.wiring import channels
from shared.adapters.http import AiohttpCourier
from shared.adapters.kafka import KafkaReader, KafkaWriter
from shared.adapters.system_clock import SystemClock
from shared.failpoints import Failpoints
from shared.monitors import read_monitors
from shared.settings import Settings


def wire(settings: Settings, failpoints: Failpoints, undo: ExitStack) -> NotifierStage:
    """Return the stage on real ports.

    Raises:
        ConfigurationError: `driftline.yaml` is wrong; nothing was opened.
    """
    monitors = read_monitors(Path(settings.config))
    stage = NotifierStage(
        topics=settings.topics,
        routes=Routes(monitors.notify),
        channels=channels(monitors),
        books=RedisBooks(settings.redis, installation=settings.installation),
        courier=AiohttpCourier(),
        reader=KafkaReader(settings.kafka, NotifierStage.name),
        writer=KafkaWriter(settings.kafka, NotifierStage.name),
        clock=SystemClock(),
        failpoints=failpoints,
    )
    undo.callback(stage.close)
    return stage
