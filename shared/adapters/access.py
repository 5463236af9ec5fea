"""Waits, before a service begins, until Kafka lets it do its work: a refusal is told of, and no reason to end."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from shared.adapters.kafka.acls import KafkaAcls
from shared.clock import Clock
from shared.errors import Unavailable
from shared.grants import grants_of
from shared.progress import Progress
from shared.runtime import next_wait, pause
from shared.settings import Settings

LOG = structlog.get_logger("driftline.access")


def await_access(
    service: str, settings: Settings, *, clock: Clock, should_stop: Callable[[], bool], progress: Progress
) -> None:
    """Return when Kafka answers and lets `service` do its work, or it is to stop. `progress` is told what is amiss.

    Ending instead would have a supervisor start the process again and again, and each start asks the broker.
    """
    wait = 0.0
    grants = grants_of(service, settings)
    while grants and not should_stop():
        try:
            KafkaAcls(settings.kafka, service).require(grants)
        except Unavailable as exc:
            wait = next_wait(wait, exc)
            LOG.warning("waiting", error=str(exc), seconds=wait)
            progress.waits(exc)
            pause(wait, clock, should_stop)
        else:
            break
    progress.starts()
