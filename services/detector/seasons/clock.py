"""The hour of the week of a row, and hours that belong together where single ones hold too few rows."""

from __future__ import annotations

import numpy as np

from services.detector.structs import CodeArray, IntArray
from shared.durations import UNITS_MS

HOURS = 168  # of a week, from Monday midnight UTC
_THURSDAY = 3  # the weekday of 1970-01-01, from Monday
_MOST_ROWS = 0.9  # of all rows must be in hours with enough of them, for hours to be kept so fine


def hours_of_week(ts: IntArray) -> CodeArray:
    """Return the hour of the week of each timestamp, milliseconds since 1970."""
    hours: CodeArray = ((ts // UNITS_MS["h"] + 24 * _THURSDAY) % HOURS).astype(np.int32)
    return hours


def pooled_hours(rows: IntArray, needed: int) -> IntArray:
    """Return for each hour of the week the number of its pool; a pool holds `needed` rows or more, or is the only one.

    rows: of each hour, [HOURS]. The finest division is taken whose parts nearly all hold enough: the hours of the week,
    those of weekdays and of weekends, those of the day, blocks of two to twelve hours of the day. What is thin in it
    joins its neighbours: a day changes within hours, and mostly repeats.
    """
    for division in _divisions():
        held = np.bincount(division, weights=rows)
        if held[held >= needed].sum() >= _MOST_ROWS * rows.sum():
            return _joined(division, held, needed)
    return np.zeros(HOURS, np.int64)


def _divisions() -> list[IntArray]:
    hour = np.arange(HOURS, dtype=np.int64)
    of_day, is_weekend = hour % 24, hour // 24 >= 5
    return [hour, of_day + 24 * is_weekend, *(of_day // width for width in (1, 2, 3, 4, 6, 8, 12))]


def _joined(division: IntArray, held: np.ndarray, needed: int) -> IntArray:
    """Return pools of consecutive parts that hold enough together; a remainder joins the last."""
    pools = np.zeros(len(held), np.int64)
    current, rows = 0, 0.0
    for part, more in enumerate(held.tolist()):
        pools[part] = current
        rows += more
        if rows >= needed:
            current, rows = current + 1, 0.0
    pools[pools == current] = max(current - 1, 0)
    joined: IntArray = pools[division]
    return joined
