"""Joint tables: any column as five codes at most, and two of them as one of 25."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.detector.baseline import Baseline, Column
from services.detector.intervals import intervals_of
from services.detector.pairs.reference import ReferenceJoint, Side
from services.detector.signals.columns import MISSING, Codes
from services.detector.signals.plan import Signals
from services.detector.statistics.joint import FIFTHS, fifths, joint_codes
from services.detector.structs import FloatArray


def side_of(column: Column) -> Side:
    """Return a column as a side: ten deciles two by two, or the four most frequent levels and the others."""
    codes = fifths(column.counts[0], ordered=column.is_numeric)
    if column.is_numeric:
        return Side(column=column.name, edges=column.edges[np.flatnonzero(np.diff(codes))], levels=[])
    levels = {int(code): level for level, code in zip(column.levels, codes.tolist(), strict=True) if code < FIFTHS - 1}
    return Side(column=column.name, edges=np.zeros(0), levels=[levels[code] for code in sorted(levels)])


def side_codes(side: Side, column: Column, values: FloatArray, codes: Codes) -> Codes:
    """Return each row's code on a side, -1 missing: by `values` of a number, by `codes` of a category."""
    if column.is_numeric:
        return intervals_of(values, side.edges)
    places = {level: place for place, level in enumerate(side.levels)}
    table = [*(places.get(level, FIFTHS - 1) for level in column.levels), FIFTHS - 1, MISSING]
    found: Codes = np.array(table, np.int32)[codes]
    return found


class ServedTables:
    """The codes of joint tables of served rows."""

    def __init__(self, baseline: Baseline, tables: Sequence[ReferenceJoint]) -> None:
        self._columns = baseline.columns
        self._places = {column.name: place for place, column in enumerate(baseline.columns)}
        self._series = {place: series for series, place in enumerate(baseline.numeric)}
        self._tables = tables

    def of(self, signals: Signals) -> Codes:
        """Return the code of each row in each table, [rows, tables]; -1 where a column is missing."""
        found = np.empty((len(signals.codes), len(self._tables)), np.int32)
        for at, table in enumerate(self._tables):
            found[:, at] = joint_codes(self._side(table.first, signals), self._side(table.second, signals))
        return found

    def _side(self, side: Side, signals: Signals) -> Codes:
        place = self._places[side.column]
        series = self._series.get(place)
        values = np.zeros(0) if series is None else signals.values[:, series]
        return side_codes(side, self._columns[place], values, signals.codes[:, place])
