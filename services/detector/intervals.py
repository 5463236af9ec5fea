"""Which right-closed interval between ascending edges a value lies in: bins of histograms and cells of grids.

A table of equal steps between the outer edges tells how many edges lie surely below a value; the few in its own step
are compared with it. Steps of values and of edges are rounded alike, so that none is ever on the wrong side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.compiled import dense, kernel
from services.detector.structs import CodeArray, FloatArray

MISSING = -1
_STEPS = 1_024
_OUTER = 32  # one in so many edges on either side is left to the table's first and last step
_AT_ONCE = 3  # edges that are compared without asking whether the step holds so many

_index = np.uint64  # numba asks of a signed index whether it counts from the end


@dataclass(frozen=True, slots=True)
class Intervals:
    """Edges, ascending, and the table by which they are searched."""

    edges: FloatArray  # and infinity, as often as the search may look beyond the last
    below: NDArray[np.int32]  # [steps + 1] edges in earlier steps
    low: float  # where the steps begin
    scale: float  # steps per unit; 0 where one step holds everything

    @classmethod
    def between(cls, edges: FloatArray) -> Intervals:
        """Return the intervals between finite `edges`, which may be none."""
        low, scale = _steps(edges)
        padded = np.concatenate([edges, np.full(_AT_ONCE, np.inf)])
        return cls(padded, _below(dense(edges, np.float64), low, scale), low, scale)

    def locate(self, values: FloatArray) -> CodeArray:
        """Return the interval of each value, 0 to the number of edges; -1 where it is missing (NaN)."""
        found = np.empty(len(values), np.int32)
        _locate(dense(values, np.float64), self.edges, self.below, self.low, self.scale, found)
        return found


@dataclass(frozen=True, slots=True)
class Coarser:
    """Other edges for values whose interval between many edges is known: most intervals lie between two of the others.

    A search less: only values in an interval that others divide are compared with these.
    """

    edges: FloatArray
    first: NDArray[np.int32]  # [finer intervals] the interval of the finer one's lower end
    last: NDArray[np.int32]  # and of its upper end

    @classmethod
    def between(cls, edges: FloatArray, finer: FloatArray) -> Coarser:
        """Return the intervals between `edges` for values located between `finer` edges."""
        edges, lower, upper = dense(edges, np.float64), np.append(-np.inf, finer), np.append(finer, np.inf)
        first, last = np.searchsorted(edges, lower, side="right"), np.searchsorted(edges, upper)
        return cls(edges, first.astype(np.int32), last.astype(np.int32))

    def locate(self, values: FloatArray, located: CodeArray) -> CodeArray:
        """Return the interval of each value; `located` are the finer ones, -1 missing."""
        found = np.empty(len(values), np.int32)
        _coarsen(dense(values, np.float64), dense(located, np.int32), self.edges, self.first, self.last, found)
        return found


def intervals_of(values: FloatArray, edges: FloatArray) -> CodeArray:
    """Return the interval of each value between `edges`; -1 where it is missing (NaN)."""
    return Intervals.between(edges).locate(values)


def _steps(edges: FloatArray) -> tuple[float, float]:
    if len(edges) < 2:
        return 0.0, 0.0
    outer = len(edges) // _OUTER
    low, high = float(edges[outer]), float(edges[-1 - outer])
    scale = _STEPS / (high - low) if high > low else 0.0
    return (low, scale) if math.isfinite(scale) else (0.0, 0.0)


@kernel
def _step(value: float, low: float, scale: float) -> int:
    place = (value - low) * scale
    place = place if place > 0.0 else 0.0  # infinity times 0 as well
    return int(place if place < _STEPS - 1.0 else _STEPS - 1.0)


@kernel
def _below(edges: FloatArray, low: float, scale: float) -> NDArray[np.int32]:
    below = np.zeros(_STEPS + 1, np.int32)
    for i in range(edges.shape[0]):
        below[_step(edges[i], low, scale) + 1] += 1
    for step in range(_STEPS):
        below[step + 1] += below[step]
    return below


@kernel
def _locate(
    values: FloatArray, edges: FloatArray, below: NDArray[np.int32], low: float, scale: float, found: CodeArray
) -> None:
    for i in range(values.shape[0]):
        value = values[i]
        if math.isnan(value):
            found[i] = MISSING
            continue
        step = _index(_step(value, low, scale))
        base = _index(below[step])
        passed = _index(0)
        for k in range(_AT_ONCE):  # no branch for the processor to mispredict
            passed += _index(edges[base + _index(k)] < value)
        base += passed
        if passed == _index(_AT_ONCE):
            end = _index(below[step + _index(1)])
            while base < end:
                middle = (base + end) >> _index(1)
                if edges[middle] < value:
                    base = middle + _index(1)
                else:
                    end = middle
        found[i] = base


@kernel
def _coarsen(
    values: FloatArray,
    located: CodeArray,
    edges: FloatArray,
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    found: CodeArray,
) -> None:
    for i in range(values.shape[0]):
        if located[i] < 0:
            found[i] = MISSING
            continue
        place = _index(located[i])
        interval = first[place]
        for k in range(first[place], last[place]):
            interval += edges[k] < values[i]
        found[i] = interval
