"""The retrain trigger on Faust, Kafka and HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from services.retrain_trigger.stage import RetrainStage
from services.retrain_trigger.wiring import retrainable
from shared.adapters.http import AiohttpClient
from shared.adapters.kafka import KafkaReader, KafkaWriter
from shared.adapters.system_clock import SystemClock
from shared.failpoints import Failpoints
from shared.monitors import read_monitors
from shared.settings import Settings


def wire(settings: Settings, failpoints: Failpoints, undo: ExitStack) -> RetrainStage:
    """Return the stage on real ports.

    Raises:
        ConfigurationError: `driftline.yaml` is wrong; nothing was opened.
    """
    models = retrainable(read_monitors(Path(settings.config)))
    stage = RetrainStage(
        topics=settings.topics,
        models=models,
        reader=KafkaReader(settings.kafka, RetrainStage.name),
        writer=KafkaWriter(settings.kafka, RetrainStage.name),
        http=AiohttpClient(),
        clock=SystemClock(),
        source=f"/driftline/{settings.installation}/{RetrainStage.name}",
        failpoints=failpoints,
    )
    undo.callback(stage.close)
    return stage
