"""From labelled rows to their bins, in every cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.detector.causes.strata import Strata
from services.detector.signals.labelled import LabelledSignals
from services.detector.structs import CodeArray, FloatArray, IntArray

NONE = -1


def numeric_bins(values: FloatArray, edges: FloatArray) -> IntArray:
    """Return the bin of each number; the one behind the last is of missing ones."""
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values)).astype(np.int64)


def bins_of(strata: Sequence[Strata], rows: LabelledSignals) -> CodeArray:
    """Return the bins of labelled rows, shape (rows, strata); -1 where a row is in none."""
    found = np.full((len(rows.labels), len(strata)), NONE, np.int32)
    for place, cut in enumerate(strata):
        if cut.is_of_segments:
            cells = rows.cells[:, cut.membership] - cut.first_cell
            found[:, place] = np.where((cells >= 0) & (cells < len(cut.names)), cells, NONE)
        elif cut.of_class.size:
            known = np.isfinite(rows.predictions)
            found[known, place] = cut.of_class[rows.predictions[known].astype(np.int64)]
        else:
            values = rows.scores[:, 0] if rows.scores.shape[1] else rows.predictions
            found[:, place] = numeric_bins(values, cut.edges)
    return found
