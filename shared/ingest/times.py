"""Times of events, many at once: those of one producer look alike, and one multiplication reads their digits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from shared.ingest.rows import NO_TIME, Floats, Times
from shared.values import parse_ts, rounded_ms

_USUAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SECOND = "0000-00-00T00:00:00"
_DATE = (0, 1, 2, 3, 5, 6, 8, 9)  # where the digits of yyyymmdd stand
_CLOCK = ((11, 3_600, 23), (14, 60, 59), (17, 1, 59))  # where two digits stand, their seconds, the largest number
_LATEST = np.array([latest for _, _, latest in _CLOCK])
_FRACTION = len(_SECOND) + 1  # where its digits begin, behind a point
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400_000_000
_YEAR_ONE = (date.min.toordinal() - _EPOCH) * _DAY

Characters = npt.NDArray[np.uint8]


def milliseconds(texts: Sequence[str | None]) -> Times:
    """Return times in ms since 1970, as `parse_ts` reads them; NO_TIME where none is given.

    Raises:
        Malformed: `ts`, of any of them.
    """
    if None not in texts:
        found = _alike(texts)  # type: ignore[arg-type]  # no None
        if found is not None:
            return found
    return np.array([NO_TIME if text is None else parse_ts(text) for text in texts])


def one_time(ts_ms: int | None) -> Times:
    """Return the time of one event."""
    return np.array([NO_TIME if ts_ms is None else ts_ms])


class _Shape(NamedTuple):
    """How texts of one length, number of decimals and zone are read."""

    least: Characters  # the smallest character at each place
    room: Characters  # how far a character may be above it: 9 for digits, 0 for marks
    weights: Floats  # (places, 5) of digits: yyyymmdd; hour, minute, second; microseconds of the day
    zone: int  # microseconds ahead of UTC


def _alike(texts: Sequence[str]) -> Times | None:
    """Return times that are all written as the first one, in one of the usual shapes; None where they are not."""
    first, joined = texts[0], "".join(texts)
    usual = _USUAL.fullmatch(first)
    if usual is None or len(joined) != len(first) * len(texts) or not joined.isascii():
        return None
    shape = _shape(len(usual[1] or ""), usual[2])
    if shape is None:
        return None
    digits = np.frombuffer(joined.encode(), np.uint8).reshape(len(texts), len(first)) - shape.least
    if (digits > shape.room).any():
        return None
    read = digits @ shape.weights  # whole numbers below 2**53: exact in any order
    days = None if (read[:, 1:4].max(axis=0) > _LATEST).any() else _days(read[:, 0])
    if days is None:
        return None
    micros = days + read[:, 4].astype(np.int64) - shape.zone
    # Python's calendar begins with the year 1, in UTC as well.
    return rounded_ms(micros) if micros.min() >= _YEAR_ONE else None


@lru_cache(maxsize=64)
def _shape(decimals: int, zone: str) -> _Shape | None:
    """Return the shape of times with so many decimals; None for a zone that is none."""
    text = _SECOND + ("." + "0" * decimals if decimals else "") + zone
    try:
        ahead = datetime.fromisoformat(f"1970-01-01T00:00:00{zone}").utcoffset() or timedelta(0)
    except ValueError:
        return None
    weights = np.zeros((len(text), 5))
    weights[_DATE, 0] = 10.0 ** np.arange(len(_DATE) - 1, -1, -1)
    for column, (place, seconds, _) in enumerate(_CLOCK, 1):
        weights[[place, place + 1], column] = 10, 1
        weights[[place, place + 1], 4] = 10_000_000 * seconds, 1_000_000 * seconds
    weights[_FRACTION : _FRACTION + decimals, 4] = 10.0 ** np.arange(5, 5 - decimals, -1)
    room = np.where(weights.any(axis=1), 9, 0).astype(np.uint8)
    return _Shape(np.frombuffer(text.encode(), np.uint8), room, weights, ahead // timedelta(microseconds=1))


def _days(dates: Floats) -> Times | np.int64 | None:
    """Return the microseconds since 1970 with which days begin, given as yyyymmdd; None where a calendar has none."""
    try:
        if dates.min() == dates.max():
            return np.int64(_day(int(dates[0])))
        different, rows = np.unique(dates, return_inverse=True)
        return np.array([_day(int(one)) for one in different.tolist()])[rows]
    except ValueError:
        return None


def _day(number: int) -> int:
    return (date(number // 10_000, number // 100 % 100, number % 100).toordinal() - _EPOCH) * _DAY
