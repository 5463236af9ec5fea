"""Where the bins of scores lie when there are too many distinct ones to tell apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.detector.baseline import Baseline, Column
from services.detector.performance.score_counts import EXACT
from services.detector.structs import FloatArray, IntArray
from shared.definition import score_columns


def score_edges(baseline: Baseline, curves: Sequence[int]) -> FloatArray:
    """Return the edges between bins of every curve's scores, shape (curves, bins - 1), rising.

    Bins hold equal shares of the reference's scores, so that they are fine where scores are many; of scores that the
    reference does not hold they are equally wide.
    """
    sources = score_columns(baseline.task, baseline.classes)
    named = {column.source: column for column in baseline.columns}
    places = [0] if baseline.task == "binary" else curves
    edges = np.full((len(curves), EXACT - 1), np.inf)
    for row, place in zip(edges, places, strict=True):
        column = named.get(sources[place])
        found = np.arange(1, EXACT) / EXACT if column is None else _quantiles(column)
        row[: len(found)] = found
    return edges


def _quantiles(column: Column) -> FloatArray:
    counts: IntArray = np.asarray(column.grid_counts[0], np.int64)
    reached = np.cumsum(counts)[:-1]
    wanted = np.arange(1, EXACT) * int(counts.sum()) / EXACT
    places = np.unique(np.searchsorted(reached, wanted))
    found: FloatArray = column.grid_edges[places[places < len(reached)]]
    return found
