"""The notifier on Faust and Kafka."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from services.notifier.channels.log import LogChannel
from services.notifier.stage import NotifierStage
from shared.adapters.kafka import KafkaWriter
from shared.failpoints import Failpoints
from shared.monitors import read_monitors
from shared.settings import Settings


def wire(settings: Settings, _: Failpoints, undo: ExitStack) -> NotifierStage:
    """Return the stage on real ports.

    Raises:
        ConfigurationError: `driftline.yaml` is wrong; nothing was opened.
    """
    routes = read_monitors(Path(settings.config)).notify
    stage = NotifierStage(
        topics=settings.topics,
        routes=routes,
        channels={"log": LogChannel()},
        writer=KafkaWriter(settings.bootstrap, NotifierStage.name),
    )
    undo.callback(stage.close)
    return stage
