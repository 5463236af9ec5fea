"""Books in process, for tests. Same promises as those in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.notifier.books import MAX_OUTCOMES, Change, Outcome, Stored


@dataclass(slots=True)
class _Kept:
    book: bytes
    alerts: dict[int, bytes] = field(default_factory=dict)


class MemoryBooks:
    """`Books` over dictionaries."""

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}
        self._outcomes: dict[int, list[Outcome]] = {}

    def load(self, partition: int) -> Stored | None:
        """Return a partition's book."""
        kept = self._kept.get(partition)
        return None if kept is None else Stored(kept.book, dict(kept.alerts))

    def advance(self, partition: int, before: bytes | None, change: Change) -> bool:
        """Apply `change` if the book is still the one in `before`."""
        kept = self._kept.get(partition)
        if (None if kept is None else kept.book) != before:
            return False
        kept = self._kept.setdefault(partition, _Kept(change.book))
        kept.book = change.book
        kept.alerts.update(change.added)
        for offset in change.dropped:
            kept.alerts.pop(offset, None)
        log = self._outcomes.setdefault(partition, [])
        log += change.outcomes
        del log[:-MAX_OUTCOMES]
        return True

    def outcomes(self, partition: int) -> Sequence[Outcome]:
        """Return the delivery log."""
        return list(self._outcomes.get(partition, ()))

    def close(self) -> None:
        """Leave."""
