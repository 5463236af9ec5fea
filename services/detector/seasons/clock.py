"""Where in its week and in its year a row is, and parts that belong together where single ones hold too few rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from services.detector.seasons.profile import Cycle
from services.detector.structs import CodeArray, IntArray
from shared.durations import UNITS_MS

HOURS = 168  # of a week, from Monday midnight UTC
MONTHS = 12  # of a year, UTC
_THURSDAY = 3  # the weekday of 1970-01-01, from Monday
_MOST_ROWS = 0.9  # of all rows must be in hours with enough of them, for hours to be kept so fine


def hours_of_week(ts: IntArray) -> CodeArray:
    """Return the hour of the week of each timestamp, milliseconds since 1970."""
    hours: CodeArray = ((ts // UNITS_MS["h"] + 24 * _THURSDAY) % HOURS).astype(np.int32)
    return hours


def months_of_year(ts: IntArray) -> CodeArray:
    """Return the month of each timestamp, 0 for January."""
    months: CodeArray = (ts.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64) % MONTHS).astype(np.int32)
    return months


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


def pooled_months(rows: IntArray, needed: int) -> IntArray:
    """Return for each month the number of its pool, as `pooled_hours`; thin months join their neighbours."""
    return _joined(np.arange(MONTHS, dtype=np.int64), rows, needed)


class Season(NamedTuple):
    """A cycle that a column may go by."""

    cycle: Cycle
    length_ms: int
    parts: int
    parts_of: Callable[[IntArray], CodeArray]  # of timestamps
    pooled: Callable[[IntArray, int], IntArray]  # of rows by part, and how many are needed


SEASONS = (
    Season("week", UNITS_MS["w"], HOURS, hours_of_week, pooled_hours),
    Season("year", 365 * UNITS_MS["d"], MONTHS, months_of_year, pooled_months),
)  # the shorter first: what the hours explain is not asked of the months


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
