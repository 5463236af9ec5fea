"""Durations as people write them: `30s`, `15m`, `12h`, `90d`, `2w`."""

from __future__ import annotations

import re

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def parse_duration(text: str) -> int:
    """Return milliseconds.

    Raises:
        ValueError: not a positive number followed by one of ms s m h d w.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"{text!r} is not a duration: write a number and a unit, like 30s, 12h or 90d")
    return int(float(match[1]) * UNITS_MS[match[2]])


def format_duration(ms: float) -> str:
    """Return the two largest units that matter, for people: `3.2 d`, `95 s`."""
    for unit in ("w", "d", "h", "m", "s"):
        if ms >= UNITS_MS[unit] * (2 if unit == "w" else 1):
            return f"{ms / UNITS_MS[unit]:.3g} {unit}"
    return f"{ms:.0f} ms"
