"""What every channel is told, and the two ways to tell: by HTTP, as a request and a verdict, or on the spot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from shared.events.alert import Incident, IncidentEvent
from shared.events.comparison import Comparison
from shared.http import HttpRequest, HttpResponse
from shared.verdicts import Refused, TryLater


@dataclass(frozen=True, slots=True)
class Notice:
    """One message for people. `text` is a finished line, `alert` the CloudEvent as it was published.

    id: what a receiver knows the notice by, the same at every attempt. repeat: 0, or the number of the repeat.
    """

    id: str
    event: IncidentEvent
    repeat: int
    text: str
    data: Incident | Comparison
    alert: bytes
    alert_id: str
    is_page: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has the notice, now or from an earlier attempt."""


Verdict = Delivered | Refused | TryLater


@runtime_checkable
class HttpChannel(Protocol):
    """A channel that is a receiver of requests; it does no IO itself."""

    def request(self, notice: Notice, now_ms: int) -> HttpRequest:
        """Return the request for `notice`; its identity is the same at every attempt.

        now_ms: when this attempt is made.
        """
        ...

    def verdict(self, response: HttpResponse) -> Verdict:
        """Return what the response means for this channel."""
        ...


@runtime_checkable
class LocalChannel(Protocol):
    """A channel of this process, which always takes what it is told."""

    def deliver(self, notice: Notice) -> None:
        """Tell it."""
        ...


Channel = HttpChannel | LocalChannel
