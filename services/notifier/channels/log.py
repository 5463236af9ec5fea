"""The service's own log: a warning for a page, else information."""

from __future__ import annotations

import structlog

from services.notifier.channels.channel import Notice
from shared.events.alert import Incident
from shared.events.comparison import Comparison

LOG = structlog.get_logger("notifier")


class LogChannel:
    """Writes each notice as one line."""

    def deliver(self, notice: Notice) -> None:
        """Write the notice."""
        write = LOG.warning if notice.is_page else LOG.info
        write(
            notice.text,
            model=notice.data.model,
            **_story(notice.data),
            alert=notice.alert_id,
            repeat=notice.repeat,
        )


def _story(told: Incident | Comparison) -> dict[str, str]:
    if isinstance(told, Incident):
        return {"incident": told.incident_id}
    return {"comparison": told.comparison_id, "challenger": told.model_version}
