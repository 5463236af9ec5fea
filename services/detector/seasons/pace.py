"""How fast rows come, by the model's own clock: a window that lasts ten times as long sees another part of the day.

The time that 99 rows take is read from stream time, so that one bad timestamp says nothing. A reference has a range of
them, because traffic has its nights.
"""

from __future__ import annotations

import msgspec

from services.detector.structs import IntArray
from shared.durations import UNITS_MS

SETTLED_ROWS = 101  # as many as stream time looks at: from here on it lags behind by the same number of rows
MEASURED_ROWS = 200  # nothing is detected on fewer
PACE_ROWS = MEASURED_ROWS - SETTLED_ROWS
FACTOR = 3.0


class Pace(msgspec.Struct, frozen=True):
    """Milliseconds that PACE_ROWS rows of the reference took, at least and at most."""

    shortest: int
    longest: int

    @classmethod
    def of(cls, times: IntArray) -> Pace | None:
        """Return the pace of rows, from stream time after each; None where they are too few to tell."""
        if len(times) < MEASURED_ROWS:
            return None
        settled = times[SETTLED_ROWS - 1 :]
        taken = settled[PACE_ROWS:] - settled[:-PACE_ROWS]
        return cls(int(taken.min()), int(taken.max()))

    def why_other(self, taken_ms: int) -> str:
        """Return why windows of live traffic are not like the reference's, by what PACE_ROWS rows take; empty if so."""
        if self.shortest / FACTOR <= taken_ms <= self.longest * FACTOR:
            return ""
        return (
            f"live traffic brings {_per_hour(taken_ms)} rows an hour, the reference {_per_hour(self.longest)} to"
            f" {_per_hour(self.shortest)}"
        )


def why_other_rate(declared: float, of_reference: float) -> str:
    """Return why a declared number of rows a week is another pace than the reference's; empty if it is not."""
    if of_reference / FACTOR <= declared <= of_reference * FACTOR:
        return ""
    hours = UNITS_MS["w"] / UNITS_MS["h"]
    return (
        f"events_per_week declares {declared / hours:,.0f} rows an hour, the reference has {of_reference / hours:,.0f}"
    )


def _per_hour(taken_ms: int) -> str:
    return f"{PACE_ROWS * UNITS_MS['h'] / max(taken_ms, 1):,.0f}"
