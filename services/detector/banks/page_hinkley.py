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
from services.detector.banks.values import by_series
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
    version: ClassVar[int] = 2

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
        values = by_series(values)
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
            dense(self._gate.min_effect, np.float64),
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
    min_effect: FloatArray,
    reference_mean: FloatArray,
    found: FloatArray,
) -> int:
    # A series at a time and its state in local variables, which the compiler keeps in registers.
    count = 0
    for s in range(values.shape[0]):
        events, mean = state.events[s], state.mean[s]
        increase, decrease = state.increase[s], state.decrease[s]
        lowest, highest = state.lowest[s], state.highest[s]
        since_up, since_down = state.since[s, _UP], state.since[s, _DOWN]
        total_up, total_down = state.since_total[s, _UP], state.since_total[s, _DOWN]
        for row in range(values.shape[1]):
            value = values[s, row]
            if not math.isfinite(value):
                continue
            if events == 0:
                # A fixed mean makes a CUSUM, which starts at its extremum; river's starts with a value.
                mean, increase, decrease = fixed_mean[s], 0.0, 0.0
                lowest, highest = (0.0, 0.0) if fixed else (math.inf, -1.0)
                since_up, since_down, total_up, total_down = 0, 0, 0.0, 0.0
            events += 1
            if not fixed:
                mean += (1.0 / events) * (value - mean)
            deviation = value - mean
            increase = alpha * increase + deviation - delta
            decrease = alpha * decrease + deviation + delta
            since_up, since_down = since_up + 1, since_down + 1
            total_up, total_down = total_up + value, total_down + value
            if increase < lowest:
                lowest, since_up, total_up = increase, 0, 0.0
            if decrease > highest:
                highest, since_down, total_down = decrease, 0, 0.0
            if events < min_instances:
                continue
            is_up = increase - lowest >= highest - decrease
            statistic = increase - lowest if is_up else highest - decrease
            if statistic <= threshold[s]:
                continue
            since, total = (since_up, total_up) if is_up else (since_down, total_down)
            if since >= min_events and abs(total / since - reference_mean[s]) >= min_effect[s]:
                found[count, 0] = row
                found[count, 1] = s
                found[count, 2] = since
                found[count, 3] = total / since
                found[count, 4] = statistic
                found[count, 5] = 1 if is_up else -1
                count += 1
                events = 0
            elif since >= _PATIENCE * min_events:
                events = 0
        state.events[s], state.mean[s] = events, mean
        state.increase[s], state.decrease[s] = increase, decrease
        state.lowest[s], state.highest[s] = lowest, highest
        state.since[s, _UP], state.since[s, _DOWN] = since_up, since_down
        state.since_total[s, _UP], state.since_total[s, _DOWN] = total_up, total_down
    return count
