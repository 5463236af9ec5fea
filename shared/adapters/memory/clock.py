"""A clock for tests and backtests."""

from __future__ import annotations


class ManualClock:
    """A clock that stands still until someone sleeps or advances it."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._seconds = 0.0

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return self._now_ms + round(self._seconds * 1000)

    def monotonic(self) -> float:
        """Return the seconds slept so far."""
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """Advance by `seconds` at once."""
        self._seconds += seconds
