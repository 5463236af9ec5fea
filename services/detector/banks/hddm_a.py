"""HDDM_A for many series: Frías-Blanco et al., IEEE Transactions on Knowledge and Data Engineering 27, 2015.

Equal to `river.drift.binary.HDDMA` 0.26.1 update for update, order of the arithmetic included; its warnings are left
out. Feed it flags, or anything else between 0 and 1: that is what Hoeffding's bound is for.
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Self

import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.banks.detections import FOUND, Detections, detections
from services.detector.banks.values import by_series
from services.detector.state import Fields, array, fill, integer
from services.detector.structs import FloatArray

_UP, _DOWN = 0, 1  # sides: the second axis of `cut_events` and `cut_mean`


class _State(NamedTuple):
    events: FloatArray  # since the last reset
    mean: FloatArray
    cut_events: FloatArray  # [series, side] events up to the cut; the side's change would have begun after it
    cut_mean: FloatArray  # of those


class HddmABank:
    """One comparison per series of all events with those before a cut: the moment when their mean was lowest.

    `drift_confidence` is per series, between 0 and 1. A two-sided bank also compares with the cut where the mean was
    highest, and so finds values that fall. A series starts again after its detection. `events` and `mean` of a
    detection are those since the cut; `statistic` is the ratio of the difference of means to its bound.

    Raises:
        ValueError: a confidence is not between 0 and 1.
    """

    name: ClassVar[str] = "hddm_a"
    version: ClassVar[int] = 1

    def __init__(self, drift_confidence: FloatArray, two_sided_test: bool = False) -> None:
        self.series = len(drift_confidence)
        self._drift_confidence = dense(drift_confidence, np.float64).copy()
        if not ((self._drift_confidence > 0.0) & (self._drift_confidence < 1.0)).all():
            raise ValueError("drift_confidence is between 0 and 1")
        self._two_sided_test = two_sided_test
        self._state = _State(
            events=np.zeros(self.series),
            mean=np.zeros(self.series),
            cut_events=np.zeros((self.series, 2)),
            cut_mean=np.zeros((self.series, 2)),
        )

    def update(self, values: FloatArray) -> Detections:
        """Fold `values` [rows, series] in row order; a value that is not finite is no event of its series."""
        values = by_series(values)
        found = np.empty((values.size, FOUND))
        count = _update(values, self._state, self._drift_confidence, 2 if self._two_sided_test else 1, found)
        return detections(found[:count])

    def snapshot(self) -> Fields:
        """Return everything that decides about the future, constants included."""
        return {
            "drift_confidence": self._drift_confidence.copy(),
            "two_sided_test": self._two_sided_test,
            **{name: values.copy() for name, values in self._state._asdict().items()},
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        bank = cls(array(fields, "drift_confidence", np.float64), bool(integer(fields, "two_sided_test")))
        fill(bank._state._asdict(), fields)
        return bank


@kernel
def _bound(count: float, logarithm: float) -> float:
    return math.sqrt(1.0 / (2.0 * count) * logarithm)


@kernel
def _move_cut(state: _State, s: int, side: int, sign: float, logarithm: float) -> None:
    """Cut here when the mean of all events is, with its bound, no higher (`sign` 1) or lower (-1) than at the cut."""
    moves = state.cut_events[s, side] == 0.0
    if not moves:
        here = sign * state.mean[s] + _bound(state.events[s], logarithm)
        moves = sign * state.cut_mean[s, side] + _bound(state.cut_events[s, side], logarithm) >= here
    if moves:
        state.cut_events[s, side] = state.events[s]
        state.cut_mean[s, side] = state.mean[s]


@kernel
def _ratio(state: _State, s: int, side: int, sign: float, logarithm: float) -> float:
    """Return the change of the mean since the cut over its bound; 0 when it is below the bound."""
    count, before = state.events[s], state.cut_events[s, side]
    if before == count:
        return 0.0
    m = (count - before) / before * (1.0 / count)
    bound = math.sqrt(m / 2.0 * logarithm)
    difference = sign * (state.mean[s] - state.cut_mean[s, side])
    return difference / bound if difference >= bound else 0.0


@kernel
def _update(values: FloatArray, state: _State, drift_confidence: FloatArray, sides: int, found: FloatArray) -> int:
    count = 0
    for s in range(values.shape[0]):
        cut_logarithm = math.log(1.0 / drift_confidence[s])
        drift_logarithm = math.log(2.0 / drift_confidence[s])
        for row in range(values.shape[1]):
            value = values[s, row]
            if not math.isfinite(value):
                continue
            state.events[s] += 1.0
            state.mean[s] += (1.0 / state.events[s]) * (value - state.mean[s])
            for side in range(sides):
                _move_cut(state, s, side, 1.0 if side == _UP else -1.0, cut_logarithm)
            for side in range(sides):
                sign = 1.0 if side == _UP else -1.0
                ratio = _ratio(state, s, side, sign, drift_logarithm)
                if ratio == 0.0:
                    continue
                since = state.events[s] - state.cut_events[s, side]
                total = state.events[s] * state.mean[s] - state.cut_events[s, side] * state.cut_mean[s, side]
                found[count, 0] = row
                found[count, 1] = s
                found[count, 2] = since
                found[count, 3] = total / since
                found[count, 4] = ratio
                found[count, 5] = sign
                count += 1
                state.events[s] = 0.0
                state.mean[s] = 0.0
                state.cut_events[s, :] = 0.0
                state.cut_mean[s, :] = 0.0
                break
    return count
