"""The port to the books: each partition's, with the alerts it needs and a log of what became of notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from shared.events.alert import IncidentEvent

MAX_OUTCOMES = 1_000


class Fate(StrEnum):
    """What becomes of a notice."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # its channel will never take it
    UNDELIVERABLE = "undeliverable"  # its channel did not take it for too long, or too many wait for it


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the delivery log. `at` is the notifier's own clock."""

    at: str
    notice: str
    fate: Fate
    channel: str
    model: str
    about: str  # the id of the incident, or of the comparison
    event: IncidentEvent
    repeat: int
    attempts: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A book as bytes, and the alerts that it names, as they were published."""

    book: bytes
    alerts: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Change:
    """A later book, the alerts that it needs beside those that are there, and those that nobody needs any more."""

    book: bytes
    added: Mapping[int, bytes]
    dropped: Sequence[int]
    outcomes: Sequence[Outcome]


class Books(Protocol):
    """Keeps books. They may go back in time or be lost.

    Every method raises Unavailable when the store is away; after that from `advance` the change may have been made.
    """

    def load(self, partition: int) -> Stored | None:
        """Return a partition's book; None where there never was one."""
        ...

    def advance(self, partition: int, before: bytes | None, change: Change) -> bool:
        """Apply `change` whole if the book is still the one in `before`, else nothing; return whether it was."""
        ...

    def outcomes(self, partition: int) -> Sequence[Outcome]:
        """Return the delivery log: the last `MAX_OUTCOMES`, oldest first."""
        ...

    def close(self) -> None:
        """Leave; idempotent."""
        ...
