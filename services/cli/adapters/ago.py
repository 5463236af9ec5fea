"""Times before now."""

from __future__ import annotations

from shared.adapters.system_clock import SystemClock
from shared.durations import parse_duration


def ago(text: str) -> int:
    """Return the time that was so long ago, in ms since 1970.

    Raises:
        ValueError: no duration.
    """
    return SystemClock().now_ms() - parse_duration(text)
