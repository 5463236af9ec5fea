"""The fine grid of a numeric column: where a value stands among those of the reference.

Cells are right-closed intervals between ascending edges. Every value of the reference that is frequent has a cell of
its own, in columns of few distinct values all of them have, so ties are ranked exactly; the other cells hold at most
1/512 of the reference, rounded up to a row. Beyond the reference's range cells widen by powers of two, so that a
change of unit has a size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.detector.banks.compiled import dense
from services.detector.intervals import fill_ranks, intervals_of
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray

MAX_ATOMS = 1_024
QUANTILE_CELLS = 512
TAIL_CELLS = 16  # on each side, from 1/16 to 2048 standard deviations


@dataclass(frozen=True, slots=True)
class Grid:
    """Interior edges, ascending; a grid of E edges has E + 1 cells, the first and last of which are open-ended."""

    edges: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Grid:
        """Return the grid of a reference's values, none missing; no values give a grid of one cell."""
        if values.size == 0:
            return cls(np.zeros(0))
        distinct, counts = np.unique(values, return_counts=True)
        if distinct.size <= MAX_ATOMS:
            atoms, ends = distinct, distinct
        else:
            atoms = np.append(distinct[counts * QUANTILE_CELLS > values.size], distinct[0])
            reached = np.arange(1, QUANTILE_CELLS + 1) / QUANTILE_CELLS
            ends = np.quantile(values, reached, method="inverted_cdf")
        edges = np.unique(np.concatenate([ends, atoms, np.nextafter(atoms, -np.inf), _tails(distinct, values)]))
        return cls(edges[np.isfinite(edges)] + 0.0)

    @property
    def cells(self) -> int:
        """Return the number of cells."""
        return int(self.edges.size) + 1

    @property
    def isolated(self) -> BoolArray:
        """Return which cells hold exactly one value, shape (cells,)."""
        single = np.zeros(self.cells, dtype=np.bool_)
        single[1:-1] = self.edges[:-1] == np.nextafter(self.edges[1:], -np.inf)
        return single

    def locate(self, values: FloatArray) -> npt.NDArray[np.int32]:
        """Return the cell of each value, -1 where it is missing (NaN)."""
        return intervals_of(values, self.edges)

    def counts(self, values: FloatArray) -> IntArray:
        """Return how many values each cell holds; missing ones are in none."""
        located = self.locate(values)
        return np.bincount(located[located >= 0], minlength=self.cells)


@dataclass(frozen=True, slots=True)
class RankScale:
    """The mid-rank of any value under the reference: P(X < x) + P(X = x)/2, interpolated inside cells of many values.

    Under the reference's own law it is uniform on (0, 1). Kept as three arrays over the cells of the grid.
    """

    below: FloatArray  # P(X <= left edge)
    slope: FloatArray  # share of the reference per unit inside the cell; 0 for isolated and open-ended cells
    left: FloatArray  # left edge; 0 where the slope is 0
    margin: float  # ranks stay this far from 0 and 1

    @classmethod
    def of(cls, grid: Grid, counts: IntArray) -> RankScale:
        """Return the scale of a reference that has `counts` in the cells of `grid`."""
        total = max(int(counts.sum()), 1)
        upto = np.cumsum(counts) / total
        below = upto - counts / total
        slope, left = np.zeros(grid.cells), np.zeros(grid.cells)
        width = np.diff(grid.edges)
        inner = slice(1, -1)
        spread = ~grid.isolated[inner] & (counts[inner] > 0)
        slope[inner][spread] = counts[inner][spread] / total / width[spread]
        left[inner][spread] = grid.edges[:-1][spread]
        below[grid.isolated] = ((below + upto) / 2)[grid.isolated]
        return cls(below, slope, left, 0.5 / (total + 1))

    def ranks(self, values: FloatArray, cells: npt.NDArray[np.int32]) -> FloatArray:
        """Return the mid-ranks in (0, 1), NaN where `cells` (from the grid's `locate`) says missing."""
        found = np.empty(len(values))
        values, cells = dense(values, np.float64), dense(cells, np.int32)
        fill_ranks(values, cells, self.below, self.slope, self.left, self.margin, found)
        return found


def _tails(distinct: FloatArray, values: FloatArray) -> FloatArray:
    low, high = distinct[0], distinct[-1]
    scale = float(values.std()) or max(abs(float(low)), 1.0)
    steps = scale / 16 * 2.0 ** np.arange(TAIL_CELLS)
    return np.concatenate([low - steps, high + steps])
