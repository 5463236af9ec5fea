"""What a metric says: a number, how sure it is, and why there is none."""

from __future__ import annotations

import math

import msgspec

from services.detector.statistics.proportions import Z95, wilson


class Value(msgspec.Struct, frozen=True):
    """One metric of one cohort. A metric that is not defined is None, never 0 and never NaN."""

    value: float | None
    low: float | None = None  # its 95 % interval; None where none is known
    high: float | None = None
    note: str = ""  # why there is no value, or what the value leaves out

    @property
    def error(self) -> float | None:
        """Return the standard error that the interval tells; None where there is none."""
        return None if self.low is None or self.high is None else (self.high - self.low) / (2.0 * Z95)


Metrics = dict[str, Value]


def undefined(why: str) -> Value:
    """Return a metric without a value."""
    return Value(None, note=why)


def rate(part: float, whole: float, why: str) -> Value:
    """Return a share of events with its Wilson interval; `why` says what is missing where the whole is 0."""
    return Value(part / whole, *wilson(part, whole)) if whole else undefined(why)


def mean(total: float, squares: float, n: float, why: str) -> Value:
    """Return a mean with its normal interval, from the sum and the sum of squares of n values."""
    if not n:
        return undefined(why)
    found = total / n
    return around(found, math.sqrt(max(squares / n - found * found, 0.0) / n))


def around(
    value: float, standard_error: float, least: float = -math.inf, most: float = math.inf, note: str = ""
) -> Value:
    """Return a value with its normal interval, cut to what the metric can be."""
    half = Z95 * standard_error
    if not math.isfinite(half):
        return Value(value, note=note)
    return Value(value, max(value - half, least), min(value + half, most), note)
