"""From `driftline.yaml` to channels, by name."""

from __future__ import annotations

from services.notifier.channels.channel import Channel
from services.notifier.channels.log import LogChannel
from services.notifier.channels.webhook import WebhookChannel
from shared.monitors import Monitors
from shared.notify import LOG
from shared.webhooks import Endpoint


def channels(monitors: Monitors) -> dict[str, Channel]:
    """Return the channels that routes may name."""
    found: dict[str, Channel] = {LOG: LogChannel()}
    for name, spec in monitors.channels.items():
        found[name] = WebhookChannel(Endpoint.of(spec.webhook))
    return found
