"""Alerts in, notices out, at least once: an alert is done when every channel has its notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import structlog

from services.notifier.channels.channel import Channel
from services.notifier.routing import route
from shared.errors import Malformed
from shared.events.alert import decode_alert
from shared.events.dead_letter import dead_letter
from shared.log import Record, Writer
from shared.measures import Labels, Measure
from shared.notify import NotifyRoute
from shared.topics import Topics

LOG = structlog.get_logger("notifier")


class NotifierStage:
    """The service over its ports. It keeps no state: what a crash repeats has the same alert id.

    channels: by the names that routes use.
    """

    name = "notifier"

    def __init__(
        self, *, topics: Topics, routes: Sequence[NotifyRoute], channels: Mapping[str, Channel], writer: Writer
    ) -> None:
        self.topic = topics.alerts
        self._topics = topics
        self._routes = routes
        self._channels = channels
        self._writer = writer
        self._notices: Counter[Labels] = Counter()

    def assigned(self, partitions: frozenset[int]) -> None:
        """Go on: nothing is remembered between records."""

    def handle(self, record: Record) -> None:
        """Deliver one alert's notices; what is no alert goes to the dead letters."""
        try:
            alert = decode_alert(record.value)
        except Malformed as refusal:
            self._dead_letter(record, refusal)
            return
        for channel, notice in route(alert, self._routes, self._channels):
            channel.deliver(notice)
            self._notices[(alert.type.name.lower(),)] += 1

    def tick(self) -> bool:
        """Do nothing: no notice waits."""
        return False

    def measures(self) -> Iterable[Measure]:
        """Return what this process has told."""
        yield Measure("notifier_notices_total", "Notices by event.", dict(self._notices), ("event",))

    def close(self) -> None:
        """Leave; idempotent."""
        self._writer.close()

    def _dead_letter(self, record: Record, refusal: Malformed) -> None:
        LOG.warning("record refused", topic=record.topic, offset=record.offset, reason=refusal.reason)
        self._writer.send(
            dead_letter(
                self._topics, record, service=self.name, reason=refusal.reason, detail=refusal.detail, model=None
            )
        )
        self._writer.flush()
