"""Cumulative sums over pools of closed cohorts, one for each side to which a monitor looks, and the way back.

Each pool adds how many standard errors it lies off the reference, less a slack, and less two standard errors of the
reference itself: what the reference only happened to be is no change.
"""

from __future__ import annotations

import math
from typing import Self

import msgspec
import numpy as np

from services.detector.performance.closed.pool import Reading
from services.detector.structs import IntArray

SLACK = 0.25  # standard errors of a pool
SURE = 2.0  # standard errors of the reference
BACK, BACK_POOLS = math.log(1_000), 3


class Side(msgspec.Struct):
    """A sum, and what the pools since it was last zero say together."""

    groups: np.ndarray  # int64 [groups, 2] labels since then: negatives, positives
    statistic: float = 0.0
    first_row: int = -1
    weight: float = 0.0  # sum of 1 / error²
    weighted: float = 0.0  # sum of value / error²

    @classmethod
    def of(cls, groups: int) -> Self:
        """Return a sum of nothing."""
        return cls(np.zeros((groups, 2), np.int64))

    @property
    def mean(self) -> float:
        """Return the value since the sum was last zero, each pool by how sure it is."""
        return self.weighted / self.weight

    @property
    def error(self) -> float:
        """Return the standard error of the mean."""
        return 1.0 / math.sqrt(self.weight)

    def add(self, off: float, reading: Reading, scatter: float, groups: IntArray, first_row: int) -> None:
        """Take a pool that lies so far off the reference, towards this side."""
        error = max(reading.error * scatter, 1e-12)
        step = (off - SURE * reading.reference_error) / error - SLACK
        if self.statistic + step <= 0.0:
            self.clear()
            return
        self.first_row = first_row if self.first_row < 0 else self.first_row
        self.statistic += step
        self.weight += 1.0 / (error * error)
        self.weighted += reading.value / (error * error)
        self.groups = self.groups + groups

    def clear(self) -> None:
        """Begin anew."""
        self.groups = np.zeros_like(self.groups)
        self.statistic, self.first_row, self.weight, self.weighted = 0.0, -1, 0.0, 0.0


class WayBack(msgspec.Struct):
    """A monitor that has fired, until it is back: Wald's test of the value since the onset against the reference's."""

    now: float
    usual: float
    since_row: int  # served when it fired; pools that began before say nothing
    statistic: float = 0.0
    pools: int = 0  # since the statistic was last zero

    def is_back(self, reading: Reading, scatter: float, first_row: int) -> bool:
        """Take a pool; tell whether the monitor is back."""
        if first_row <= self.since_row:
            return False
        error = max(reading.error * scatter, 1e-12)
        towards = (self.usual - self.now) / error
        self.statistic += towards * (reading.value - (self.usual + self.now) / 2.0) / error
        self.pools += 1
        if self.statistic <= 0.0:
            self.statistic, self.pools = 0.0, 0
        return self.statistic >= BACK and self.pools >= BACK_POOLS
