"""Page-Hinkley for many series, in both directions: Page, Continuous inspection schemes, Biometrika 41, 1954.

Two forms of one recursion. The river form follows a running mean and equals `river.drift.PageHinkley` 0.26.1
(`mode="both"`) update for update; it is advisory. The verdict form holds the mean fixed at the reference's and forgets
nothing, which makes it a pair of CUSUMs with slack `delta`: its false alarms have a closed form (`budget.py`), and
`delta` is also the error of the reference that it forgives. Feed it normal scores, clipped.
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Self

import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.banks.detections import FOUND, Detections, Gate, detections, no_gate
from services.detector.state import Fields, array, fill, integer, number
from services.detector.structs import FloatArray, IntArray

VERDICT_DELTA = 0.25  # standard deviations; a shift of this size is PSI .06

_PATIENCE = 10  # times the gate's events
_UP, _DOWN = 0, 1  # sides: the second axis of `since` and `since_total`


class _State(NamedTuple):
    events: IntArray  # since the last reset
    mean: FloatArray  # running, or the reference's
    increase: FloatArray  # cumulative sum of deviations less delta
    decrease: FloatArray  # cumulative sum of deviations plus delta
    lowest: FloatArray  # of `increase`
    highest: FloatArray  # of `decrease`
    since: IntArray  # [series, side] events since that extremum, which is where the side's change would have begun
    since_total: FloatArray  # sum of their values


class PageHinkleyBank:
    """One two-sided Page-Hinkley test per series.

    Without `fixed_mean` the river form, with it the verdict form, usually gated (`verdict`). A side whose statistic
    exceeds the threshold is reported as soon as its events since the onset pass the gate, and a statistic that falls
    back before that was nothing. A series starts again after its detection, and also when ten times the gate's events
    show no effect: a shift between the slack and the gate would else dilute the mean of a larger one for good.

    `statistic` is the distance of the cumulative sum from its extremum, on the side that fired.
    """

    name: ClassVar[str] = "page_hinkley"
    version: ClassVar[int] = 1

    def __init__(
        self,
        threshold: FloatArray,
        delta: float = 0.005,
        alpha: float = 0.9999,
        min_instances: int = 30,
        fixed_mean: FloatArray | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.series = len(threshold)
        self._threshold = dense(threshold, np.float64).copy()
        self._delta = delta
        self._alpha = alpha
        self._min_instances = min_instances
        self._fixed = fixed_mean is not None
        self._fixed_mean = np.zeros(self.series) if fixed_mean is None else dense(fixed_mean, np.float64).copy()
        self._gate = no_gate(self.series) if gate is None else gate
        self._state = _State(
            events=np.zeros(self.series, np.int64),
            mean=np.zeros(self.series),
            increase=np.zeros(self.series),
            decrease=np.zeros(self.series),
            lowest=np.zeros(self.series),
            highest=np.zeros(self.series),
            since=np.zeros((self.series, 2), np.int64),
            since_total=np.zeros((self.series, 2)),
        )

    @classmethod
    def verdict(cls, threshold: FloatArray, gate: Gate) -> Self:
        """Return the bank that may open incidents, on normal scores."""
        return cls(threshold, VERDICT_DELTA, 1.0, fixed_mean=gate.reference_mean, gate=gate)

    def update(self, values: FloatArray) -> Detections:
        """Fold `values` [rows, series] in row order; a value that is not finite is no event of its series."""
        values = dense(values, np.float64)
        found = np.empty((values.size, FOUND))
        count = _update(
            values,
            self._state,
            self._threshold,
            self._delta,
            self._alpha,
            self._min_instances,
            self._fixed,
            self._fixed_mean,
            self._gate.min_events,
            self._gate.min_effect,
            dense(self._gate.reference_mean, np.float64),
            found,
        )
        return detections(found[:count])

    def snapshot(self) -> Fields:
        """Return everything that decides about the future, constants included."""
        return {
            "threshold": self._threshold.copy(),
            "delta": self._delta,
            "alpha": self._alpha,
            "min_instances": self._min_instances,
            "fixed": self._fixed,
            "fixed_mean": self._fixed_mean.copy(),
            **self._gate.fields(),
            **{name: values.copy() for name, values in self._state._asdict().items()},
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        fixed_mean = array(fields, "fixed_mean", np.float64)
        bank = cls(
            array(fields, "threshold", np.float64),
            number(fields, "delta"),
            number(fields, "alpha"),
            integer(fields, "min_instances"),
            fixed_mean if integer(fields, "fixed") else None,
            Gate.of(fields),
        )
        fill(bank._state._asdict(), fields)
        return bank


@kernel
def _restart(state: _State, s: int, fixed: bool, mean: float) -> None:
    """Start the series again. A fixed mean makes a CUSUM, which starts at its extremum; river's starts with a value."""
    state.events[s] = 0
    state.mean[s] = mean
    state.increase[s] = 0.0
    state.decrease[s] = 0.0
    state.lowest[s] = 0.0 if fixed else math.inf
    state.highest[s] = 0.0 if fixed else -1.0
    state.since[s, :] = 0
    state.since_total[s, :] = 0.0


@kernel
def _follow(state: _State, s: int, value: float, delta: float, alpha: float, fixed: bool) -> None:
    state.events[s] += 1
    if not fixed:
        state.mean[s] += (1.0 / state.events[s]) * (value - state.mean[s])
    deviation = value - state.mean[s]
    state.increase[s] = alpha * state.increase[s] + deviation - delta
    state.decrease[s] = alpha * state.decrease[s] + deviation + delta
    state.since[s, :] += 1
    state.since_total[s, :] += value
    if state.increase[s] < state.lowest[s]:
        state.lowest[s] = state.increase[s]
        state.since[s, _UP] = 0
        state.since_total[s, _UP] = 0.0
    if state.decrease[s] > state.highest[s]:
        state.highest[s] = state.decrease[s]
        state.since[s, _DOWN] = 0
        state.since_total[s, _DOWN] = 0.0


@kernel
def _passes(state: _State, s: int, side: int, min_events: int, min_effect: float, reference: float) -> bool:
    events = state.since[s, side]
    passed: bool = events >= min_events and abs(state.since_total[s, side] / events - reference) >= min_effect
    return passed


@kernel
def _update(
    values: FloatArray,
    state: _State,
    threshold: FloatArray,
    delta: float,
    alpha: float,
    min_instances: int,
    fixed: bool,
    fixed_mean: FloatArray,
    min_events: int,
    min_effect: float,
    reference_mean: FloatArray,
    found: FloatArray,
) -> int:
    count = 0
    for s in range(values.shape[1]):
        for row in range(values.shape[0]):
            value = values[row, s]
            if not math.isfinite(value):
                continue
            if state.events[s] == 0:
                _restart(state, s, fixed, fixed_mean[s])
            _follow(state, s, value, delta, alpha, fixed)
            if state.events[s] < min_instances:
                continue
            up = state.increase[s] - state.lowest[s]
            down = state.highest[s] - state.decrease[s]
            side, statistic = (_UP, up) if up >= down else (_DOWN, down)
            if statistic <= threshold[s]:
                continue
            if _passes(state, s, side, min_events, min_effect, reference_mean[s]):
                found[count, 0] = row
                found[count, 1] = s
                found[count, 2] = state.since[s, side]
                found[count, 3] = state.since_total[s, side] / state.since[s, side]
                found[count, 4] = statistic
                found[count, 5] = 1 if side == _UP else -1
                count += 1
                state.events[s] = 0
            elif state.since[s, side] >= _PATIENCE * min_events:
                state.events[s] = 0
    return count
