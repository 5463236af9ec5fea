"""The detector on Kafka and Redis."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from importlib.metadata import version

from services.detector.adapters.encryption import ciphers
from services.detector.adapters.kernel_cache import use_kernel_cache
from services.detector.adapters.redis_checkpoints import RedisCheckpoints
from services.detector.alert_log import AlertLog
from services.detector.definitions import ControlDefinitions
from services.detector.keeping import Keeping, Place
from services.detector.logged_checkpoints import LoggedCheckpoints
from services.detector.outputs import Outputs
from services.detector.partition import FoldOptions
from services.detector.sealing import Seal
from services.detector.stage import DetectorStage, StageOptions
from services.detector.watch_options import WatchOptions
from shared.adapters.catalogue import published
from shared.adapters.kafka import KafkaExclusiveWriter, KafkaReader, KafkaWriter
from shared.adapters.redis import connect
from shared.adapters.shares import shares
from shared.adapters.system_clock import SystemClock
from shared.durations import parse_duration
from shared.errors import ConfigurationError
from shared.failpoints import Failpoints
from shared.settings import Settings

TIMEOUT_SECONDS = 5.0
LOGGED_SECONDS = 180.0  # between two checkpoints in the log; what is since then is folded again if Redis is lost


def wire(settings: Settings, failpoints: Failpoints, undo: ExitStack) -> DetectorStage:
    """Return the stage on real ports, after reading `driftline.control` to its end."""
    use_kernel_cache()
    outputs, release, clock = Outputs(settings.topics, settings.installation), version("driftline"), SystemClock()
    client = connect(settings.redis, TIMEOUT_SECONDS)
    undo.callback(client.close)
    writer = KafkaWriter(settings.kafka, DetectorStage.name)
    logged = LoggedCheckpoints(
        partial(KafkaReader, settings.kafka, f"{DetectorStage.name}-checkpoints"),
        writer,
        settings.topics.checkpoints,
        settings.installation,
        failpoints=failpoints,
    )
    places = [Place(RedisCheckpoints(client, settings.installation)), Place(logged, LOGGED_SECONDS)]
    stage = DetectorStage(
        KafkaReader(settings.kafka, DetectorStage.name),
        writer,
        AlertLog(
            partial(KafkaExclusiveWriter, settings.kafka, f"{DetectorStage.name}-alerts"),
            partial(KafkaReader, settings.kafka, f"{DetectorStage.name}-alerts"),
            settings.topics,
            settings.installation,
        ),
        Keeping(places, Seal(release, ciphers(settings)), clock),
        ControlDefinitions(partial(published, settings, DetectorStage.name)),
        clock,
        settings.topics,
        FoldOptions(outputs, _heartbeat_ms(settings), WatchOptions(outputs, release)),
        shares(settings, DetectorStage.name, settings.topics.observations, settings.observations_partitions),
        StageOptions(),
        failpoints=failpoints,
    )
    undo.callback(stage.close)
    return stage


def _heartbeat_ms(settings: Settings) -> int:
    try:
        return parse_duration(settings.heartbeat)
    except ValueError as exc:
        raise ConfigurationError("DRIFTLINE_HEARTBEAT", str(exc)) from exc
