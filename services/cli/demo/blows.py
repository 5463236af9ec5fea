"""When each blow of `demo --chaos` falls: at even distances among the events, and one after another.

Events flow while a blow falls and while what it hit comes back; those that come after the next one wait for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence


class Blows:
    """The plan for `events` events. `allowed` is up to how many may be written now."""

    def __init__(self, names: Sequence[str], events: int) -> None:
        self._waiting = deque(names)
        self._between = events / (len(names) + 1)
        self._over = 0
        self._now: str | None = None

    @property
    def allowed(self) -> float:
        """Return up to how many events may be written; without a bound when all blows are over."""
        return self._between * (self._over + 2) if self._waiting or self._now else float("inf")

    @property
    def are_over(self) -> bool:
        """Return whether every blow has fallen, and what it hit is back."""
        return not self._waiting and self._now is None

    def due(self, written: int) -> str | None:
        """Return the blow that falls now that so many events are written, if one does."""
        if self._now is not None or not self._waiting or written < self._between * (self._over + 1):
            return None
        self._now = self._waiting.popleft()
        return self._now

    def end(self) -> None:
        """Take that what the last blow hit is back."""
        self._now, self._over = None, self._over + 1
