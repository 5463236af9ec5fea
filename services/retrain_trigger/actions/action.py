"""What every integration answers: accepted, refused, or try later. No IO: one HTTP adapter serves them all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import msgspec

from shared.events.retraining import Retraining
from shared.http import HttpRequest, HttpResponse
from shared.unreadable import UNREADABLE
from shared.verdicts import Refused, TryLater, failure

MAX_RUN_URL_CHARS = 2_048


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receiver has the request, now or from an earlier attempt."""

    run_url: str | None


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
    """Return the common meaning of a status; 409 says that the key was seen before."""
    return failure(response) or Accepted(_run_url(response))


def _run_url(response: HttpResponse) -> str | None:
    """Return where the run can be watched: `run_url` of a JSON body, else the Location header."""
    found: object = None
    with suppress(*UNREADABLE):  # a receiver may answer what it likes
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
