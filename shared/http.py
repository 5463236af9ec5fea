"""The port to HTTP: integrations make requests and judge responses, one adapter sends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as data. URL and headers may hold secrets, so neither is in its text."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back; header names are in lower case, the body ends where the adapter's limit cut it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class HttpClient(Protocol):
    """Sends requests; never follows a redirect."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Return the response, whatever its status.

        Raises:
            Unavailable: no response: refused, unreachable, timed out. The text names no URL.
        """
        ...

    def close(self) -> None:
        """Drop connections; idempotent."""
        ...
