"""A dead-letter topic is for exceptions: past a limit the service stops instead of emptying an input into it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeadLetterLimit:
    """More than `ratio` refused among the last `run` records of one log is too many; fewer records never are."""

    ratio: float = 0.5
    run: int = 1_000


class RefusalWindow:
    """The last records of one log."""

    __slots__ = ("_limit", "_refused", "_seen")

    def __init__(self, limit: DeadLetterLimit) -> None:
        self._limit = limit
        self._seen = 0
        self._refused: deque[int] = deque()  # which of the records seen, counted from 1

    @property
    def refused(self) -> int:
        """Return how many of the last records were refused."""
        return len(self._refused)

    def accept(self, records: int) -> None:
        """Take in so many records that were good."""
        self._seen += records

    def refuse(self) -> bool:
        """Take in a record that was refused; return whether too many of the last records were."""
        self._seen += 1
        self._refused.append(self._seen)
        while self._refused[0] <= self._seen - self._limit.run:
            self._refused.popleft()
        return self._seen >= self._limit.run and len(self._refused) > self._limit.ratio * self._limit.run
