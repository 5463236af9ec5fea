"""The port to HTTP: integrations make requests and judge responses, one adapter sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.errors import Unavailable


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as data. URL and headers may hold secrets, so neither is in its text.

    allow_private: whether the URL's name may lead to an address of a private network; see destinations.py.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    allow_private: bool = False


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


class Courier(Protocol):
    """Sends many requests at once, so that no receiver waits for another; whoever submits bounds how many they are."""

    def submit(self, key: str, request: HttpRequest) -> None:
        """Send `request` without waiting for its answer."""
        ...

    def collect(self, timeout: float) -> Sequence[tuple[str, HttpResponse | Unavailable]]:
        """Return each answer that has come, once, by its key; waits at most `timeout` seconds for a first one."""
        ...

    def close(self) -> None:
        """Drop what is under way, without its answer; idempotent."""
        ...
