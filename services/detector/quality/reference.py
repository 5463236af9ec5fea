"""What a baseline knows of the quality of its reference: the shares of rows that were amiss even then.

A share is watched by a likelihood-ratio CUSUM against `p0`, the largest that counts as none the worse, and pages from
`gate` on. Everything is of all traffic but what says otherwise.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
import numpy as np

from services.detector.structs import FloatArray

MIN_SHARE = 0.005  # a smaller share of rows never pages
MORE, TIMES = 0.02, 1.5  # than what counts as none the worse: whichever is passed first
MIN_ROWS_AMISS = 5
TOLERANCE = 0.001  # of what should never be: a row in a thousand is nobody's page


class Statistic(StrEnum):
    """Shares of rows, by the name that a culprit's statistic has."""

    MISSING = "missing_rate"
    NEW_CATEGORY = "new_category_rate"
    VANISHED = "vanished_category_rate"  # of the reference's rows
    OUT_OF_RANGE = "out_of_range_rate"
    OUTLIER = "outlier_rate"
    TYPE_ERROR = "type_error_rate"
    FORMAT_ERROR = "format_error_rate"
    BROKEN = "broken_rate"  # of what the configuration expects of every row
    DUPLICATE = "duplicate_rate"
    STALE = "stale_rate"
    EARLY = "early_rate"


# A drift brings them as well, and says it better.
AFTER_DRIFT = (Statistic.OUTLIER, Statistic.DUPLICATE, Statistic.VANISHED)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One share that is watched."""

    feature: str  # a column's name, the text of an expectation, or what rows have of their own: ROWS or TIMES_OF_ROWS
    statistic: Statistic
    rate: float  # in the reference
    p0: float  # strictly between 0 and 1
    reason: str = ""  # why it does not page; empty where it does

    @property
    def gate(self) -> float:
        """Return the share from which it matters."""
        return gate_of(self.p0)


class UsualLevels(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The categories that would be missed: slots, in the order of columns."""

    place: np.ndarray  # int64 [slots] of the column
    code: np.ndarray  # int64 [slots] of the category
    limit: np.ndarray  # int32 [cells, slots] rows with a value, but without it, that make it gone; 0: it is not watched


class QualityReference(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The checks of a baseline, and what they need beside its columns."""

    checks: list[Check]
    low: np.ndarray  # float64 [columns]: numbers below are outliers; -inf where nothing is known
    high: np.ndarray  # float64 [columns]: and above
    p0: np.ndarray  # float64 [checks, cells]: that of the check, or the largest share of a cell's own windows
    usual: UsualLevels


def gate_of(p0: float) -> float:
    """Return the share from which one that was at most `p0` matters."""
    return float(gates_of(np.array(p0)))


def gates_of(p0: FloatArray) -> FloatArray:
    """Return `gate_of` each."""
    gates: FloatArray = np.minimum(np.maximum(MIN_SHARE, np.minimum(p0 + MORE, TIMES * p0)), (1.0 + p0) / 2.0)
    return gates
