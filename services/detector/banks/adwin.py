"""ADWIN for many series: Bifet and Gavaldà, Learning from time-changing data with adaptive windowing, SDM 2007.

Equal to `river.drift.ADWIN` 0.26.1 update for update, bucket order and order of the arithmetic included: after a
detection the series starts again, empty, at its next value. Kept beside it is what river does not say: the split of the
window that exceeds its bound most estimates the onset, so that a gate can wait for enough events since then. (The
window that survives a cut is no such estimate: it is cut only until the difference is no longer significant, and at
the moment of a detection most of it is older than the change.)

Feed it ranks or flags: part of its bound has the unit of the values, so that tiny units are never seen to change.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.adwin_window import empty, fold, replace, used
from services.detector.banks.compiled import dense
from services.detector.banks.detections import FOUND, Detections, Gate, detections, no_gate
from services.detector.banks.values import by_series
from services.detector.state import Fields, array, fill, integer
from services.detector.structs import FloatArray

_BUCKETS = ("totals", "deviations")


class AdwinBank:
    """One adaptive window per series.

    Without a gate every detection is reported at the event that river reports it at. With one, a detection counts on
    from its onset and is reported, or dropped, at the first event that makes `gate.min_events`; detections that follow
    meanwhile change nothing, the first onset stands.

    `statistic` is the ratio of the difference of means to its bound at the onset's split. A level of the window holds
    at most `max_buckets` buckets, at least 2.
    """

    name: ClassVar[str] = "adwin"
    version: ClassVar[int] = 2

    def __init__(
        self,
        delta: FloatArray,
        clock: int = 32,
        max_buckets: int = 5,
        min_window_length: int = 5,
        grace_period: int = 10,
        gate: Gate | None = None,
    ) -> None:
        if max_buckets < 2:
            raise ValueError("max_buckets is at least 2")
        self.series = len(delta)
        self._delta = dense(delta, np.float64).copy()
        self._clock = clock
        self._max_buckets = max_buckets
        self._min_window_length = min_window_length
        self._grace_period = grace_period
        self._gate = no_gate(self.series) if gate is None else gate
        self._state = empty(self.series, max_buckets)

    def update(self, values: FloatArray) -> Detections:
        """Fold `values` [rows, series] in row order; a value that is not finite is no event of its series."""
        values = by_series(values)
        found = np.empty((values.size, FOUND))
        count = fold(
            values,
            self._state,
            self._delta,
            self._clock,
            float(self._min_window_length),
            self._grace_period,
            self._gate.min_events,
            dense(self._gate.min_effect, np.float64),
            dense(self._gate.reference_mean, np.float64),
            found,
        )
        return detections(found[:count])

    def take_back(self, series: int, later: int, value: float, other: float | None) -> None:
        """Put `other` in the place of a value of a series, since which it took `later` others.

        None: there is no value any more; then the mean of the others stands for it. What was detected stays so, and a
        value that has left the window is out of reach.
        """
        width, total = float(self._state.width[series]), float(self._state.total[series])
        if other is None:
            other = (total - value) / (width - 1.0) if width > 1.0 else value
        replace(self._state, series, later, value, other)

    def window(self, series: int) -> Fields:
        """Return the window of one series, for `seed`."""
        return {name: values[series : series + 1].copy() for name, values in self._windows().items()}

    def seed(self, series: int, window: Fields) -> None:
        """Start a series from a window that another bank with the same `max_buckets` has learned."""
        fill({name: values[series : series + 1] for name, values in self._windows().items()}, window)

    def snapshot(self) -> Fields:
        """Return everything that decides about the future, constants included; only buckets in use are listed."""
        in_use = used(self._state)
        return {
            "delta": self._delta.copy(),
            "clock": self._clock,
            "max_buckets": self._max_buckets,
            "min_window_length": self._min_window_length,
            "grace_period": self._grace_period,
            **self._gate.fields(),
            **{name: values.copy() for name, values in self._plain().items()},
            "totals": self._state.totals[in_use],
            "deviations": self._state.deviations[in_use],
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        bank = cls(
            array(fields, "delta", np.float64),
            integer(fields, "clock"),
            integer(fields, "max_buckets"),
            integer(fields, "min_window_length"),
            integer(fields, "grace_period"),
            Gate.of(fields),
        )
        fill(bank._plain(), fields)
        in_use = used(bank._state)
        bank._state.totals[in_use] = array(fields, "totals", np.float64)
        bank._state.deviations[in_use] = array(fields, "deviations", np.float64)
        return bank

    def _windows(self) -> dict[str, NDArray[Any]]:
        return {name: values for name, values in self._state._asdict().items() if not name.startswith("waiting")}

    def _plain(self) -> dict[str, NDArray[Any]]:
        return {name: values for name, values in self._state._asdict().items() if name not in _BUCKETS}
