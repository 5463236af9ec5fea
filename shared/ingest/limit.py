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

    __slots__ = ("_limit", "_recent", "_refused")

    def __init__(self, limit: DeadLetterLimit) -> None:
        self._limit = limit
        self._recent: deque[bool] = deque()
        self._refused = 0

    def saw(self, *, refused: bool) -> None:
        """Take in the fate of one record."""
        self._recent.append(refused)
        self._refused += refused
        if len(self._recent) > self._limit.run:
            self._refused -= self._recent.popleft()

    @property
    def is_exceeded(self) -> bool:
        """Return whether too many of the last records were refused."""
        return len(self._recent) >= self._limit.run and self._refused > self._limit.ratio * self._limit.run
