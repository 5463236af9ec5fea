"""Generic webhooks: a POST that is idempotent by its identity, and signed when there is a secret.

Headers are those of Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks, section "Webhook
headers"): the id is constant over attempts, the timestamp is the attempt's, because receivers refuse old ones.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field

import msgspec
from yarl import URL

from shared.destinations import check_url
from shared.errors import ConfigurationError
from shared.http import HttpRequest

SECRET_PREFIX = "whsec_"  # noqa: S105 - the standard's marker, not a secret


class WebhookSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An HTTP endpoint as `driftline.yaml` writes it down. Its text holds neither URL nor secret."""

    url: str
    secret: str | None = None
    allow_private: bool = False  # whether a name may lead to addresses of private networks, and over http

    def __repr__(self) -> str:
        return "WebhookSpec(...)"

    def without_secrets(self) -> WebhookSpec:
        """Return the spec as it may be published: path and query may hold a token, so only the host is left."""
        return msgspec.structs.replace(self, url=f"{URL(self.url).origin()}/", secret=None)


def check_webhook(path: str, spec: WebhookSpec) -> None:
    """Return when requests may be sent to a receiver, and its secret can be one.

    Raises:
        ConfigurationError: it cannot; names the path of the mistake, and neither URL nor secret.
    """
    try:
        check_url(spec.url, allow_private=spec.allow_private)
    except ValueError as exc:
        raise ConfigurationError(f"{path}.url", str(exc)) from None
    try:
        signing_key(spec.secret or "")
    except ValueError as exc:
        raise ConfigurationError(f"{path}.secret", str(exc)) from None


def signing_key(secret: str) -> bytes:
    """Return the bytes of a secret: base64 behind `whsec_`, else the text itself.

    Raises:
        ValueError: a `whsec_` secret that is not base64; does not repeat it.
    """
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        # Without its cause, whose frames hold the secret.
        raise ValueError("what follows whsec_ is not base64") from None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. Neither its URL nor its key is in its text."""

    url: str = field(repr=False)
    key: bytes | None = field(repr=False, default=None)
    allow_private: bool = False

    @classmethod
    def of(cls, spec: WebhookSpec) -> Endpoint:
        """Return the endpoint that a configuration names, which was checked when it was read."""
        return cls(spec.url, None if spec.secret is None else signing_key(spec.secret), spec.allow_private)

    def post(self, identity: str, body: bytes, content_type: str, now_ms: int) -> HttpRequest:
        """Return the POST; `Idempotency-Key` and `webhook-id` are `identity`."""
        timestamp = str(now_ms // 1000)
        headers = {
            "Content-Type": content_type,
            "User-Agent": "driftline",
            "Idempotency-Key": identity,
            "webhook-id": identity,
            "webhook-timestamp": timestamp,
        }
        if self.key is not None:
            signed = f"{identity}.{timestamp}.".encode() + body
            digest = hmac.new(self.key, signed, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return HttpRequest("POST", self.url, headers, body, self.allow_private)
