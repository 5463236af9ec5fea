"""A generic webhook: POST of the notice as JSON, with the alert in it, idempotent by the notice's id."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from services.notifier.channels.channel import Delivered, Notice, Verdict
from shared.events.notice import NoticeEvent, WebhookNotice
from shared.http import HttpRequest, HttpResponse
from shared.verdicts import failure
from shared.webhooks import Endpoint

CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """One endpoint that tells people."""

    endpoint: Endpoint

    def request(self, notice: Notice, now_ms: int) -> HttpRequest:
        """Return the POST; its identity is the notice's id."""
        body = WebhookNotice(
            text=notice.text,
            event=NoticeEvent[notice.event.name],
            repeat=notice.repeat,
            severity=notice.incident.severity,
            model=notice.incident.model,
            model_version=notice.incident.model_version,
            incident_id=notice.incident.incident_id,
            alert=msgspec.Raw(notice.alert),
        )
        return self.endpoint.post(notice.id, msgspec.json.encode(body), CONTENT_TYPE, now_ms)

    def verdict(self, response: HttpResponse) -> Verdict:
        """Return the common meaning of the status."""
        return failure(response) or Delivered()
