"""Durations as people write them: `30s`, `15m`, `12h`, `90d`, `2w`."""

from __future__ import annotations

import re

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
LONGEST_MS = 36_500 * UNITS_MS["d"]
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d|w)")


def parse_duration(text: str) -> int:
    """Return milliseconds.

    Raises:
        ValueError: not a number followed by one of ms s m h d w, below a millisecond, above a century.
    """
    match = _DURATION.fullmatch(text.strip())
    ms = 0 if match is None else int(float(match[1]) * UNITS_MS[match[2]])
    if not 0 < ms <= LONGEST_MS:
        raise ValueError(f"{text[:40]!r} is not a duration: write a number and a unit, like 30s, 12h or 90d")
    return ms


def format_duration(ms: float) -> str:
    """Return three digits in the largest unit that fits, for people: `3.2 d`, `42 s`; weeks from two on."""
    for unit in ("w", "d", "h", "m", "s"):
        if ms >= UNITS_MS[unit] * (2 if unit == "w" else 1):
            return f"{ms / UNITS_MS[unit]:.3g} {unit}"
    return f"{ms:.0f} ms"
