"""Which right-closed interval between ascending edges a value lies in: bins of histograms and cells of grids.

A table of equal steps between the outer edges tells how many edges lie surely below a value; the few in its own step
are compared with it. Steps of values and of edges are rounded alike, so that none is ever on the wrong side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.compiled import dense, kernel
from services.detector.structs import CodeArray, FloatArray, IntArray

MISSING = -1
_STEPS = 1_024
_OUTER = 32  # one in so many edges on either side is left to the table's first and last step
_ROWS_AT_ONCE = 64  # whose places stay in the processor's nearest cache until all columns are done
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
        found, column = np.empty((1, len(values)), np.int32), dense(values, np.float64)[np.newaxis]
        edges, below = self.edges[np.newaxis], self.below[np.newaxis]
        locate_all(column, edges, below, np.array([self.low]), np.array([self.scale]), found)
        located: CodeArray = found[0]
        return located


class Scales(NamedTuple):
    """How values of several columns are placed: on each one's fine grid, in its bins, and among its reference.

    Most grid cells lie between two edges of bins; only values in a cell that such edges divide are compared with them.
    Tables are as wide as the column with most cells needs.
    """

    edges: FloatArray  # [columns, ...] of the grid; like the next three, those of `Intervals`
    below: NDArray[np.int32]  # [columns, ...]
    low: FloatArray  # [columns]
    scale: FloatArray  # [columns]
    bin_edges: FloatArray  # [columns, bins - 1]
    ends: NDArray[np.int32]  # [columns, grid cells, 2] the bins of each cell's lower and upper end
    ranks: FloatArray  # [columns, grid cells, 3] `below`, `slope` and `left` of a `RankScale`, as the next is of it
    margin: FloatArray  # [columns]


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
def locate_all(
    values: FloatArray,
    edges: FloatArray,
    below: NDArray[np.int32],
    low: FloatArray,
    scale: FloatArray,
    found: CodeArray,
) -> None:
    """Fill `found` [columns, rows] with the interval of each of `values`, by tables as `Scales` has them."""
    for c in range(values.shape[0]):
        of_column, table = edges[c], below[c]
        for row in range(values.shape[1]):
            value = values[c, row]
            if math.isnan(value):
                found[c, row] = MISSING
                continue
            step = _index(_step(value, low[c], scale[c]))
            base = _index(table[step])
            passed = _index(0)
            for k in range(_AT_ONCE):  # no branch for the processor to mispredict
                passed += _index(of_column[base + _index(k)] < value)
            base += passed
            if passed == _index(_AT_ONCE):
                end = _index(table[step + _index(1)])
                while base < end:
                    middle = (base + end) >> _index(1)
                    if of_column[middle] < value:
                        base = middle + _index(1)
                    else:
                        end = middle
            found[c, row] = base


@kernel
def _mid_rank(value: float, below: float, slope: float, left: float, margin: float) -> float:
    rank = below + (slope * (value - left) if slope > 0.0 else 0.0)
    return min(max(rank, margin), 1.0 - margin)


@kernel
def fill_ranks(
    values: FloatArray,
    cells: CodeArray,
    below: FloatArray,
    slope: FloatArray,
    left: FloatArray,
    margin: float,
    found: FloatArray,
) -> None:
    """Fill `found` with the mid-ranks of values in grid cells, of which -1 is none."""
    for i in range(values.shape[0]):
        cell = cells[i]
        found[i] = math.nan if cell < 0 else _mid_rank(values[i], below[cell], slope[cell], left[cell], margin)


@kernel
def place_all(
    values: FloatArray,
    cells: CodeArray,
    scales: Scales,
    columns: IntArray,
    codes: CodeArray,
    grid: CodeArray,
    by_row: FloatArray,
    ranks: FloatArray,
) -> None:
    """Fill tables of rows from values and their grid cells by column, [columns, rows].

    columns: those of `codes` and `grid`, which have others besides; the values `by_row` and `ranks` have no others.
    """
    # What is cut out of an array, or read from a tuple, is counted as in use, which takes time.
    bin_edges, ends, places, margins = scales.bin_edges, scales.ends, scales.ranks, scales.margin
    for begin in range(0, values.shape[1], _ROWS_AT_ONCE):
        end = min(begin + _ROWS_AT_ONCE, values.shape[1])
        for at in range(values.shape[0]):
            c = _index(at)
            column, margin = _index(columns[c]), margins[c]
            for turn in range(begin, end):
                row = _index(turn)
                value = values[c, row]
                by_row[row, c] = value
                if cells[c, row] < 0:
                    codes[row, column], grid[row, column], ranks[row, c] = MISSING, MISSING, math.nan
                    continue
                cell = _index(cells[c, row])
                code = ends[c, cell, 0]
                for edge in range(ends[c, cell, 0], ends[c, cell, 1]):
                    code += bin_edges[c, _index(edge)] < value
                codes[row, column], grid[row, column] = code, cell
                below, slope, left = places[c, cell, 0], places[c, cell, 1], places[c, cell, 2]
                ranks[row, c] = _mid_rank(value, below, slope, left, margin)
