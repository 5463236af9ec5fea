"""What a response means to whoever must not ask twice for nothing, nor give up too early."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from shared.http import HttpResponse

MAX_WAIT_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver will never take this request."""

    reason: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """Nobody knows whether it was taken; the same request again. `after`: seconds that the receiver asked for."""

    reason: str
    after: float | None = None


def failure(response: HttpResponse) -> Refused | TryLater | None:
    """Return None for 2xx and for 409 (taken before); later for 408, 425, 429 and 5xx; refused for everything else."""
    status = response.status
    if 200 <= status < 300 or status == 409:
        return None
    if status in (408, 425, 429) or status >= 500:
        return TryLater(f"HTTP {status}", _retry_after(response))
    return Refused(f"HTTP {status}")


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
