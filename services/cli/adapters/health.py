"""Asking running services how they do, over HTTP."""

from __future__ import annotations

import http.client
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import msgspec

from shared.errors import ConfigurationError
from shared.progress import Answer
from shared.settings import Settings
from shared.unreadable import UNREADABLE

TIMEOUT_SECONDS = 5.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where a service that listens everywhere is asked
LONGEST_ANSWER = 64 << 10

# A probe of this machine never goes through a proxy.
_direct = build_opener(ProxyHandler({}))


def address(settings: Settings, service: str) -> str:
    """Return `host:port` of a service's health.

    Raises:
        ConfigurationError: the service takes any free port, so that nobody can know which.
    """
    port = settings.health_port_of(service)
    if not port:
        raise ConfigurationError("DRIFTLINE_HEALTH_PORT", "is 0, any free port: the services' logs say which")
    host = EVERYWHERE.get(settings.health_host, settings.health_host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def ask(where: str, probe: str) -> Answer | None:
    """Return what `http://<where>/<probe>` answers; None where no Driftline service does."""
    try:
        with _direct.open(f"http://{where}/{probe}", timeout=TIMEOUT_SECONDS) as response:
            said = response.read(LONGEST_ANSWER)
    except HTTPError as refusal:  # 503 is an answer
        with refusal:
            said = refusal.read(LONGEST_ANSWER)
    except (URLError, OSError, http.client.HTTPException):
        return None
    try:
        return msgspec.json.decode(said, type=Answer)
    except UNREADABLE:
        return None
