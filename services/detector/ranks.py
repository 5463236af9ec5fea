"""Mid-ranks and normal scores: any numeric column on one bounded scale, so that no detector sees raw units."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from services.detector.baseline import Column
from services.detector.grid import Grid, RankScale
from services.detector.intervals import Coarser, Intervals
from services.detector.signals.columns import Codes
from services.detector.structs import FloatArray

CLIP = 3.0  # of normal scores


class Ranking:
    """Places values of one numeric column under its reference on all traffic."""

    def __init__(self, column: Column) -> None:
        grid = Grid(np.asarray(column.grid_edges, dtype=np.float64))
        self._cells = Intervals.between(grid.edges)
        self._bins = Coarser.between(column.edges, grid.edges)
        self._scale = RankScale.of(grid, np.asarray(column.grid_counts[0], dtype=np.int64))

    def place(self, values: FloatArray) -> tuple[Codes, FloatArray]:
        """Return each value's grid cell (-1 missing) and its mid-rank in (0, 1) (NaN missing)."""
        cells = self._cells.locate(values)
        return cells, self._scale.ranks(values, cells)

    def bins(self, values: FloatArray, cells: Codes) -> Codes:
        """Return each value's bin, -1 missing; `cells` are those that `place` found."""
        return self._bins.locate(values, cells)


def normal_scores(ranks: FloatArray) -> FloatArray:
    """Return the standard normal quantiles of mid-ranks, clipped to ±3; NaN stays NaN."""
    scores: FloatArray = np.clip(ndtri(ranks), -CLIP, CLIP)
    return scores
