"""Who is told of what: from an alert and the `notify:` section to notices and their channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from services.notifier.channels.channel import Channel, Notice
from services.notifier.render import render
from shared.events.alert import Alert, Incident
from shared.notify import NotifyRoute


def route(
    alert: Alert, routes: Sequence[NotifyRoute], channels: Mapping[str, Channel]
) -> Iterator[tuple[Channel, Notice]]:
    """Yield what to deliver where: every incident event to every route once, heartbeats to nobody."""
    if not isinstance(alert.data, Incident):
        return
    notice = Notice(
        line=render(alert.type, alert.data),
        is_page=alert.is_page,
        model=alert.data.model,
        incident_id=alert.data.incident_id,
        alert_id=alert.id,
    )
    for name in dict.fromkeys(name for entry in routes for name in entry.channels if name in channels):
        yield channels[name], notice
