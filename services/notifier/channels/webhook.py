"""A generic webhook: POST of the notice as JSON, with the alert in it, idempotent by the notice's id."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from services.notifier.channels.channel import Delivered, Notice, Verdict
from services.notifier.routing import severity_of
from shared.events.alert import Incident
from shared.events.notice import NoticeEvent, VerdictEvent, WebhookNotice, WebhookVerdict
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
        return self.endpoint.post(notice.id, msgspec.json.encode(_body(notice)), CONTENT_TYPE, now_ms)

    def verdict(self, response: HttpResponse) -> Verdict:
        """Return the common meaning of the status."""
        return failure(response) or Delivered()


def _body(notice: Notice) -> WebhookNotice[msgspec.Raw] | WebhookVerdict[msgspec.Raw]:
    told, alert = notice.data, msgspec.Raw(notice.alert)
    if isinstance(told, Incident):
        return WebhookNotice(
            text=notice.text,
            event=NoticeEvent[notice.event.name],
            repeat=notice.repeat,
            severity=told.severity,
            model=told.model,
            model_version=told.model_version,
            incident_id=told.incident_id,
            alert=alert,
        )
    return WebhookVerdict(
        text=notice.text,
        event=VerdictEvent[notice.event.name],
        severity=severity_of(told),
        model=told.model,
        model_version=told.model_version,
        champion=told.champion,
        advice=told.advice,
        comparison_id=told.comparison_id,
        alert=alert,
    )
