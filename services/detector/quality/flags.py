"""Rows as flags: 1 where a row is amiss, 0 where it is not, -1 where the check does not apply to it.

The same loop reads a block and the reference, so that a share means the same in both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from services.detector.banks.compiled import dense, kernel
from services.detector.baseline import Column
from services.detector.signals.columns import MISSING, Codes
from services.detector.structs import FloatArray, IntArray
from shared.durations import UNITS_MS
from shared.quality import Expectation
from shared.values import MISSING_LEVEL, OTHER_LEVEL

ROWS, TIMES_OF_ROWS = "rows", "ts"  # what checks of whole rows and of their times are called
STALE_MS = EARLY_MS = UNITS_MS["d"]
AWAITED = 100  # rows until stream time tells how a row's time was: after a silence it needs half of that to follow
OPEN_VOCABULARY = 0.05  # share of levels that occur once, from which new ones are no news
NOTHING = -1  # a row that the check does not apply to

Flags = npt.NDArray[np.int8]


class Kind(IntEnum):
    """What a look tells of a row."""

    WITHOUT_VALUE = 0
    OF_CODE = 1
    OUTSIDE = 2
    COMPARED = 3  # with a number
    RELATED = 4  # with another column


COMPARISONS: Mapping[str, int] = MappingProxyType({"<": 0, "<=": 1, "==": 2, "!=": 3, ">": 4, ">=": 5})


class Look(NamedTuple):
    """How a check reads a row's codes and numbers."""

    kind: Kind
    place: int  # among the codes, or among the numbers
    code: int = MISSING  # of what is missing, or amiss
    low: float = -math.inf
    high: float = math.inf
    other: int = 0  # the number that it is compared with
    comparison: int = 0

    @classmethod
    def for_missing(cls, column: Column, place: int) -> Look:
        """Return the look for rows without a value."""
        is_level = MISSING_LEVEL in column.levels
        return cls(Kind.WITHOUT_VALUE, place, column.levels.index(MISSING_LEVEL) if is_level else MISSING)

    @classmethod
    def for_unseen(cls, column: Column, place: int) -> Look:
        """Return the look for levels that the reference does not hold."""
        return cls(Kind.OF_CODE, place, column.bins)

    @classmethod
    def for_broken(cls, expectation: Expectation, series: Mapping[str, int]) -> Look:
        """Return the look for rows in which something does not hold; `series`: the place of each column's numbers."""
        left, comparison = series[expectation.left], COMPARISONS[expectation.comparison]
        if isinstance(expectation.right, str):
            return cls(Kind.RELATED, left, other=series[expectation.right], comparison=comparison)
        return cls(Kind.COMPARED, left, low=expectation.right, comparison=comparison)


class Looks(NamedTuple):
    """Many looks, as arrays."""

    kind: IntArray
    place: IntArray
    code: IntArray
    low: FloatArray
    high: FloatArray
    other: IntArray
    comparison: IntArray

    @classmethod
    def of(cls, looks: Sequence[Look]) -> Looks:
        """Return them in their order."""
        return cls(
            kind=np.array([look.kind for look in looks], np.int64),
            place=np.array([look.place for look in looks], np.int64),
            code=np.array([look.code for look in looks], np.int64),
            low=np.array([look.low for look in looks], np.float64),
            high=np.array([look.high for look in looks], np.float64),
            other=np.array([look.other for look in looks], np.int64),
            comparison=np.array([look.comparison for look in looks], np.int64),
        )

    def read(self, codes: Codes, values: FloatArray) -> Flags:
        """Return the flags [looks, rows] of codes [rows, columns] and numbers [rows, numeric columns]."""
        found = np.empty((len(self.kind), len(codes)), np.int8)
        _read(dense(codes, np.int32), dense(values, np.float64), self, found)
        return found


def knows_levels(column: Column) -> bool:
    """Tell whether a level that the reference does not hold is news."""
    return not column.is_numeric and column.singletons <= OPEN_VOCABULARY and OTHER_LEVEL not in column.levels


def stale(ts: IntArray, times: IntArray) -> npt.NDArray[np.bool_]:
    """Return which rows are a day or more behind stream time."""
    return ts < times - STALE_MS


class Awaiting(msgspec.Struct):
    """The times of the last rows, of which it is not known yet whether they are ahead of those that follow."""

    recent: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(AWAITED, np.int64))  # oldest first
    rows: int = 0  # so far

    def early(self, ts: IntArray, times: IntArray) -> Flags:
        """Take rows in order; return for each whether the one `AWAITED` before it was a day ahead of what came since.

        times: stream time after each row.
        """
        row, unknown = np.concatenate([self.recent, ts]), max(AWAITED - self.rows, 0)
        found = (row[: len(ts)] > times + EARLY_MS).astype(np.int8)
        found[:unknown] = NOTHING
        self.recent, self.rows = row[-AWAITED:].copy(), self.rows + len(ts)
        return found


@kernel
def _holds(comparison: int, left: float, right: float) -> bool:
    if comparison == 0:
        return left < right
    if comparison == 1:
        return left <= right
    if comparison == 2:
        return left == right
    if comparison == 3:
        return left != right
    return left > right if comparison == 4 else left >= right


@kernel
def _read(codes: Codes, values: FloatArray, looks: Looks, found: Flags) -> None:
    for look in range(found.shape[0]):
        kind, place, code = looks.kind[look], looks.place[look], looks.code[look]
        low, high = looks.low[look], looks.high[look]
        other, comparison = looks.other[look], looks.comparison[look]
        for row in range(found.shape[1]):
            if kind <= 1:
                given = codes[row, place]
                if given < 0:
                    found[look, row] = 1 if kind == 0 else -1
                else:
                    found[look, row] = given == code
            else:
                value = values[row, place]
                limit = values[row, other] if kind == 4 else low
                if math.isnan(value) or math.isnan(limit):
                    found[look, row] = -1
                elif kind == 2:
                    found[look, row] = value < low or value > high
                else:
                    found[look, row] = not _holds(comparison, value, limit)
