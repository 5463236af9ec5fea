"""The service's own log: a warning for a page, else information."""

from __future__ import annotations

import structlog

from services.notifier.channels.channel import Notice

LOG = structlog.get_logger("notifier")


class LogChannel:
    """Writes each notice as one line."""

    def deliver(self, notice: Notice) -> None:
        """Write the notice."""
        write = LOG.warning if notice.is_page else LOG.info
        write(
            notice.text,
            model=notice.incident.model,
            incident=notice.incident.incident_id,
            alert=notice.alert_id,
            repeat=notice.repeat,
        )
