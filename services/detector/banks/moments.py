"""Count, mean, variance and range per series, one value at a time: Welford, Technometrics 4, 1962."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Self

import numpy as np

from services.detector.banks.compiled import kernel
from services.detector.banks.values import usable
from services.detector.state import Fields, fill, integer
from services.detector.structs import FloatArray, IntArray


class Moments(NamedTuple):
    """One entry per series; a series without values has mean 0, minimum +inf and maximum -inf."""

    events: IntArray
    mean: FloatArray
    squares: FloatArray  # sum of squared deviations from the mean
    minimum: FloatArray
    maximum: FloatArray


class MomentsBank:
    """Running moments of each series."""

    name: ClassVar[str] = "moments"
    version: ClassVar[int] = 1

    def __init__(self, series: int) -> None:
        self.series = series
        self._state = Moments(
            np.zeros(series, np.int64),
            np.zeros(series),
            np.zeros(series),
            np.full(series, math.inf),
            np.full(series, -math.inf),
        )

    def update(self, values: FloatArray) -> None:
        """Fold `values` [rows, series] in row order; a value that is not finite is no event of its series."""
        _update(usable(values), self._state)

    def moments(self) -> Moments:
        """Return the moments so far, detached from the bank."""
        return Moments(**{name: values.copy() for name, values in self._state._asdict().items()})

    def snapshot(self) -> Fields:
        """Return everything that decides about the future."""
        return {"series": self.series, **self.moments()._asdict()}

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        bank = cls(integer(fields, "series"))
        fill(bank._state._asdict(), fields)
        return bank


@kernel
def _update(values: FloatArray, state: Moments) -> None:
    for s in range(values.shape[1]):
        for row in range(values.shape[0]):
            value = values[row, s]
            if not math.isfinite(value):
                continue
            state.events[s] += 1
            difference = value - state.mean[s]
            state.mean[s] += difference / state.events[s]
            state.squares[s] += difference * (value - state.mean[s])
            state.minimum[s] = min(state.minimum[s], value)
            state.maximum[s] = max(state.maximum[s], value)
