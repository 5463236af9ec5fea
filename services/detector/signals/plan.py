"""From an observation block to arrays, by the baseline's columns.

Codes: the place of the bin or level; -1 missing; `bins` (one past the last) a level that the reference does not hold.
A null of a categorical column is its level `__missing__` where the reference has one; an unknown level is `__other__`
where the reference had more levels than are kept. A column that a block does not carry, or carries as another kind
(blocks made under an older configuration), is missing in all rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from services.detector.baseline import Baseline, Column
from services.detector.column_build import bin_codes
from services.detector.ranks import Ranking, normal_scores
from services.detector.segments import CellIndex, Memberships
from services.detector.signals.columns import MISSING, Codes, is_number, numbers, translated
from services.detector.signals.labelled import LabelledPlan, LabelledSignals
from services.detector.structs import FloatArray
from shared.events.block import LABEL
from shared.values import MISSING_LEVEL, OTHER_LEVEL


@dataclass(frozen=True, slots=True)
class Signals:
    """Served rows as arrays, C order; NaN is missing, nothing else is not finite."""

    codes: Codes  # int32 [rows, columns]
    grid: Codes  # int32 [rows, columns]: cell of the fine grid; -1 where missing or categorical
    cells: Memberships  # int32 [rows, memberships]: `all`, then one per segmentation
    ranks: FloatArray  # [rows, numeric columns]: mid-rank in (0, 1) under the reference
    normal_scores: FloatArray  # [rows, numeric columns]: its normal quantile, clipped to ±3


class SignalPlan:
    """How the blocks of one model become signals under one baseline. Stateless: rows do not depend on one another."""

    def __init__(self, baseline: Baseline) -> None:
        self._columns = baseline.columns
        self._numeric = baseline.numeric
        self._rankings = {place: Ranking(baseline.columns[place]) for place in self._numeric}
        self._levels = {
            place: {level: code for code, level in enumerate(column.levels)}
            for place, column in enumerate(baseline.columns)
            if not column.is_numeric
        }
        self._cells = CellIndex(baseline.segmentations)
        self._labelled = LabelledPlan(baseline)

    def served(self, batch: pa.RecordBatch) -> Signals:
        """Return the signals of served rows."""
        shape = (batch.num_rows, len(self._columns))
        codes, grid = np.full(shape, MISSING, dtype=np.int32), np.full(shape, MISSING, dtype=np.int32)
        ranks = np.full((batch.num_rows, len(self._numeric)), np.nan)
        for place, column in enumerate(self._columns):
            if column.source not in batch.schema.names:
                continue
            values = batch.column(column.source)
            if not column.is_numeric:
                codes[:, place] = self._level_codes(place, values)
            elif is_number(values.type):
                known = _in_range(column, numbers(values))
                codes[:, place] = bin_codes(known, column.edges)
                grid[:, place], ranks[:, self._numeric.index(place)] = self._rankings[place].place(known)
        return Signals(codes, grid, self._cells.of_batch(batch), ranks, normal_scores(ranks))

    def labelled(self, batch: pa.RecordBatch, label: str = LABEL) -> LabelledSignals:
        """Return the signals of labelled or corrected rows; `label` names the column to read labels from."""
        return self._labelled.signals(batch, self._cells.of_batch(batch), label)

    def _level_codes(self, place: int, values: pa.Array) -> Codes:
        levels = self._levels[place]
        unknown = levels.get(OTHER_LEVEL, self._columns[place].bins)
        return translated(values, lambda text: levels.get(text, unknown), levels.get(MISSING_LEVEL, MISSING))


def _in_range(column: Column, values: FloatArray) -> FloatArray:
    if column.minimum is not None:
        values[values < column.minimum] = np.nan
    if column.maximum is not None:
        values[values > column.maximum] = np.nan
    return values
