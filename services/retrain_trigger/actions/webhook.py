"""A generic webhook: POST of the decision's CloudEvent, idempotent by its effect id."""

from __future__ import annotations

from dataclasses import dataclass

from services.retrain_trigger.actions.action import Verdict, by_status
from shared.events.retraining import Retraining
from shared.http import HttpRequest, HttpResponse
from shared.webhooks import Endpoint

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One endpoint that starts a retraining."""

    endpoint: Endpoint

    def request(self, entry: Retraining, body: bytes, now_ms: int) -> HttpRequest:
        """Return the POST; its identity is the effect id."""
        return self.endpoint.post(entry.effect_id, body, CONTENT_TYPE, now_ms)

    def verdict(self, response: HttpResponse) -> Verdict:
        """Return the common meaning of the status."""
        return by_status(response)
