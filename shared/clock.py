"""Time is an argument; who must wait takes a `Clock`."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall time for timeouts and staleness at the edge; it never decides an output."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; a manual clock advances instead."""
        ...
