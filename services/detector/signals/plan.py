"""From an observation block to arrays, by the baseline's columns.

Codes: every column of the baseline, then for every column with a range an indicator, 1 outside it and 0 inside. A code
is the place of the bin or level; -1 missing; `bins` (one past the last) a level that the reference does not hold.
A null of a categorical column is its level `__missing__` where the reference has one; an unknown level is `__other__`
where the reference had more levels than are kept. A column that a block does not carry, or carries as another kind
(blocks made under an older configuration), is missing in all rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from services.detector.baseline import Baseline, Column
from services.detector.intervals import locate_all, place_all
from services.detector.ranks import normal_scores, scales_of
from services.detector.segments import CellIndex, Memberships
from services.detector.signals.columns import MISSING, Codes, clean, floats, is_number, looked_up, numbers
from services.detector.signals.labelled import LabelledPlan, LabelledSignals
from services.detector.structs import FloatArray
from shared.events.block import FLAG_OUT_OF_RANGE, FLAGS_PREFIX, LABEL
from shared.values import MISSING_LEVEL, OTHER_LEVEL


@dataclass(frozen=True, slots=True)
class Signals:
    """Served rows as arrays, C order; NaN is missing, nothing else is not finite."""

    codes: Codes  # int32 [rows, columns + indicators]
    grid: Codes  # int32 [rows, columns + indicators]: cell of the fine grid; -1 where missing or categorical
    cells: Memberships  # int32 [rows, memberships]: `all`, then one per segmentation
    values: FloatArray  # [rows, numeric columns]
    ranks: FloatArray  # [rows, numeric columns]: mid-rank in (0, 1) under the reference

    @property
    def normal_scores(self) -> FloatArray:
        """Return the ranks' normal quantiles, clipped to ±3; computed whenever asked for."""
        return normal_scores(self.ranks)

    def part(self, rows: slice) -> Signals:
        """Return some of the rows."""
        return Signals(*[getattr(self, field.name)[rows] for field in fields(self)])


class SignalPlan:
    """How the blocks of one model become signals under one baseline. Stateless: rows do not depend on one another."""

    def __init__(self, baseline: Baseline) -> None:
        self._columns = baseline.columns
        self._numeric = baseline.numeric
        self._ranged = baseline.ranged
        self._scales = scales_of([baseline.columns[place] for place in self._numeric])
        self._places = np.array(self._numeric, np.int64)
        ranges = [_range(baseline.columns[place]) for place in self._numeric]
        self._least, self._largest = np.array(ranges, np.float64).reshape(-1, 2).T.copy()
        self._levels = {
            place: {level: code for code, level in enumerate(column.levels)}
            for place, column in enumerate(baseline.columns)
            if not column.is_numeric
        }
        self._cells = CellIndex(baseline.segmentations)
        self._labelled = LabelledPlan(baseline)

    def served(self, batch: pa.RecordBatch) -> Signals:
        """Return the signals of served rows."""
        shape = (batch.num_rows, len(self._columns) + len(self._ranged))
        codes, grid = np.full(shape, MISSING, dtype=np.int32), np.full(shape, MISSING, dtype=np.int32)
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        by_column = np.full((len(self._numeric), batch.num_rows), np.nan)
        for series, place in enumerate(self._numeric):
            column = self._columns[place]
            given = columns.get(column.source)
            if given is not None and is_number(given.type):
                by_column[series] = floats(given)
        clean(by_column, self._least, self._largest)
        values, ranks = np.empty(by_column.T.shape), np.empty(by_column.T.shape)
        cells, scales = np.empty(by_column.shape, np.int32), self._scales
        locate_all(by_column, scales.edges, scales.below, scales.low, scales.scale, cells)
        place_all(by_column, cells, scales, self._places, codes, grid, values, ranks)
        for place in self._levels:
            given = columns.get(self._columns[place].source)
            if given is not None:
                codes[:, place] = self._level_codes(place, given)
        for indicator, place in enumerate(self._ranged, start=len(self._columns)):
            codes[:, indicator] = self._outside(self._columns[place], batch)
        return Signals(codes, grid, self._cells.of_batch(batch), values, ranks)

    def labelled(self, batch: pa.RecordBatch, label: str = LABEL) -> LabelledSignals:
        """Return the signals of labelled or corrected rows; `label` names the column to read labels from."""
        return self._labelled.signals(batch, self._cells.of_batch(batch), label)

    def _outside(self, column: Column, batch: pa.RecordBatch) -> Codes:
        """Return 1 where a value lies outside the range, 0 inside, -1 where there is none.

        The consumer has made such values missing and flagged them; blocks of an older configuration still hold them.
        """
        found = np.full(batch.num_rows, MISSING, dtype=np.int32)
        if column.source in batch.schema.names and is_number(batch.column(column.source).type):
            values = numbers(batch.column(column.source))
            least, largest = _range(column)
            found[~np.isnan(values)] = 0
            found[(values < least) | (values > largest)] = 1
        flags = f"{FLAGS_PREFIX}{column.name}"
        if flags in batch.schema.names:
            found[(batch.column(flags).to_numpy(zero_copy_only=False) & FLAG_OUT_OF_RANGE) != 0] = 1
        return found

    def _level_codes(self, place: int, values: pa.Array) -> Codes:
        levels = self._levels[place]
        unknown = levels.get(OTHER_LEVEL, self._columns[place].bins)
        return looked_up(values, levels, unknown, levels.get(MISSING_LEVEL, MISSING))


def _range(column: Column) -> tuple[float, float]:
    """Return the least and the largest number that the configuration allows."""
    low = -np.inf if column.minimum is None else column.minimum
    return low, np.inf if column.maximum is None else column.maximum
