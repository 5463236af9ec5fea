"""Mid-ranks and normal scores: any numeric column on one bounded scale, so that no detector sees raw units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from services.detector.banks.compiled import Scalar
from services.detector.baseline import Column
from services.detector.grid import Grid, RankScale
from services.detector.intervals import Intervals, Scales
from services.detector.signals.columns import Codes
from services.detector.structs import FloatArray

CLIP = 3.0  # of normal scores


class Ranking:
    """Places values of one numeric column under its reference on all traffic."""

    def __init__(self, column: Column) -> None:
        self._cells = Intervals.between(column.grid_edges)
        self._scale = _scale(column)

    def place(self, values: FloatArray) -> tuple[Codes, FloatArray]:
        """Return each value's grid cell (-1 missing) and its mid-rank in (0, 1) (NaN missing)."""
        cells = self._cells.locate(values)
        return cells, self._scale.ranks(values, cells)


def scales_of(columns: Sequence[Column]) -> Scales:
    """Return how the values of numeric columns are placed all at once."""
    searches = [Intervals.between(column.grid_edges) for column in columns]
    ranks = [_scale(column) for column in columns]
    first = [np.searchsorted(c.edges, np.append(-np.inf, c.grid_edges), side="right") for c in columns]
    last = [np.searchsorted(c.edges, np.append(c.grid_edges, np.inf)) for c in columns]
    places = [[getattr(scale, name) for scale in ranks] for name in ("below", "slope", "left")]
    return Scales(
        edges=_stacked([search.edges for search in searches], np.float64),
        below=_stacked([search.below for search in searches], np.int32),
        low=np.array([search.low for search in searches], np.float64),
        scale=np.array([search.scale for search in searches], np.float64),
        bin_edges=_stacked([column.edges for column in columns], np.float64),
        ends=np.stack([_stacked(first, np.int32), _stacked(last, np.int32)], axis=2),
        ranks=np.stack([_stacked(tables, np.float64) for tables in places], axis=2),
        margin=np.array([scale.margin for scale in ranks], np.float64),
    )


def _scale(column: Column) -> RankScale:
    return RankScale.of(Grid(column.grid_edges), np.asarray(column.grid_counts[0], np.int64))


def _stacked(tables: Sequence[npt.NDArray[Any]], dtype: type[Scalar]) -> npt.NDArray[Scalar]:
    """Return tables of different lengths as rows of one, padded with zeros."""
    found = np.zeros((len(tables), max((len(table) for table in tables), default=0)), dtype)
    for row, table in zip(found, tables, strict=True):
        row[: len(table)] = table
    return found


def normal_scores(ranks: FloatArray) -> FloatArray:
    """Return the standard normal quantiles of mid-ranks, clipped to ±3; NaN stays NaN."""
    scores: FloatArray = np.clip(ndtri(ranks), -CLIP, CLIP)
    return scores
