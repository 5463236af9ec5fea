"""What every integration answers: accepted, refused, or try later. No IO: one HTTP adapter serves them all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

import msgspec

from shared.events.retraining import Retraining
from shared.http import HttpRequest, HttpResponse

MAX_WAIT_SECONDS = 3_600.0
MAX_RUN_URL_CHARS = 2_048


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receiver has the request, now or from an earlier attempt."""

    run_url: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver will never take this request."""

    reason: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """Nobody knows whether it was taken; the same request again. `after`: seconds that the receiver asked for."""

    reason: str
    after: float | None = None


Verdict = Accepted | Refused | TryLater


class Action(Protocol):
    """One integration, configured for one model."""

    def request(self, entry: Retraining, body: bytes, now_ms: int) -> HttpRequest:
        """Return the request for `entry`; its identity is the same at every attempt.

        body: the CloudEvent of the decision. now_ms: when this attempt is made.
        """
        ...

    def verdict(self, response: HttpResponse) -> Verdict:
        """Return what the response means for this integration."""
        ...


def by_status(response: HttpResponse) -> Verdict:
    """Return the common meaning: 2xx accepted, 409 accepted before, 408, 425, 429 and 5xx later, else refused."""
    status = response.status
    if 200 <= status < 300 or status == 409:
        return Accepted(_run_url(response))
    if status in (408, 425, 429) or status >= 500:
        return TryLater(f"HTTP {status}", _retry_after(response))
    return Refused(f"HTTP {status}")


def _run_url(response: HttpResponse) -> str | None:
    """Return where the run can be watched: `run_url` of a JSON body, else the Location header."""
    found: object = None
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # a receiver may answer what it likes
        found = msgspec.json.decode(response.body, type=dict[str, object]).get("run_url")
    for url in (found, response.headers.get("location")):
        if (
            isinstance(url, str)
            and url.startswith(("http://", "https://"))
            and url.isprintable()
            and len(url) <= MAX_RUN_URL_CHARS
        ):
            return url
    return None


def _retry_after(response: HttpResponse) -> float | None:
    """Return seconds, from either form of Retry-After; a date counts from the receiver's own clock."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdecimal() and len(text) < 10:
        return min(float(text), MAX_WAIT_SECONDS)
    until, sent = _http_date(text), _http_date(response.headers.get("date", ""))
    if until is None or sent is None:
        return None
    return min(max((until - sent).total_seconds(), 0.0), MAX_WAIT_SECONDS)


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else None
