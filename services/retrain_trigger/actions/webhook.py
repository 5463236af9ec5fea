"""A generic webhook: POST of the decision's CloudEvent, idempotent by its effect id, signed when there is a secret.

Headers are those of Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks, section "Webhook
headers"): the id is constant over attempts, the timestamp is the attempt's, because receivers refuse old ones.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field

from services.retrain_trigger.actions.action import Verdict, by_status
from shared.errors import ConfigurationError
from shared.events.retraining import Retraining
from shared.http import HttpRequest, HttpResponse
from shared.monitors import WebhookSpec

SECRET_PREFIX = "whsec_"  # noqa: S105 - the standard's marker, not a secret


@dataclass(frozen=True, slots=True)
class Webhook:
    """One endpoint. Neither its URL nor its key is in its text."""

    url: str = field(repr=False)
    key: bytes | None = field(repr=False, default=None)

    @classmethod
    def of(cls, spec: WebhookSpec, path: str) -> Webhook:
        """Return the webhook that `spec` writes down at `path` of the configuration.

        Raises:
            ConfigurationError: a `whsec_` secret that is not base64.
        """
        if spec.secret is None:
            return cls(spec.url)
        if not spec.secret.startswith(SECRET_PREFIX):
            return cls(spec.url, spec.secret.encode())
        try:
            return cls(spec.url, base64.b64decode(spec.secret.removeprefix(SECRET_PREFIX), validate=True))
        except binascii.Error:
            # Without its cause, whose frames hold the secret.
            raise ConfigurationError(f"{path}.secret", "what follows whsec_ is not base64") from None

    def request(self, entry: Retraining, body: bytes, now_ms: int) -> HttpRequest:
        """Return the POST; `Idempotency-Key` and `webhook-id` are the effect id."""
        timestamp = str(now_ms // 1000)
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "User-Agent": "driftline",
            "Idempotency-Key": entry.effect_id,
            "webhook-id": entry.effect_id,
            "webhook-timestamp": timestamp,
        }
        if self.key is not None:
            signed = f"{entry.effect_id}.{timestamp}.".encode() + body
            digest = hmac.new(self.key, signed, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return HttpRequest("POST", self.url, headers, body)

    def verdict(self, response: HttpResponse) -> Verdict:
        """Return the common meaning of the status; 409 says that the key was seen before."""
        return by_status(response)
