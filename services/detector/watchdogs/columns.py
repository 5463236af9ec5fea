"""Columns of models without a baseline that change their shape: of another type, or with values no more.

An ordinary column may be missing for long. How long is too long follows from the share of rows that had a value before:
a run of rows without one is told of when chance gives it once in a million times or less.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from services.detector.signals.columns import is_number
from shared.durations import UNITS_MS
from shared.events.block import FEATURE_PREFIX, FLAG_TYPE_ERROR, FLAGS_PREFIX

ROWS = 500  # of a window, and of the shortest run that is told of
TYPE_ERRORS = 0.05  # share of a window's rows
CHANCE = 1e-6  # of a run of rows without a value
GONE_MS = UNITS_MS["d"]  # how long a column must be as usual until it is: one alert of a column and day


class Seen(NamedTuple):
    """What a block says of a column."""

    feature: str
    statistic: str
    value: float
    limit: float
    rows: int
    words: str  # empty: the column has been as usual for long enough


class ColumnShapes(msgspec.Struct):
    """The columns of one model, over all of its versions."""

    rows: int = 0
    values: dict[str, int] = {}  # column to the rows that had a value
    absent: dict[str, int] = {}  # column to the newest rows, in a row, that had none
    window: int = 0  # rows of the window of type errors
    errors: dict[str, int] = {}  # column to the window's rows of another type
    bad: dict[str, int] = {}  # column in trouble to the witnessed time when that was seen last

    def take(self, batch: pa.RecordBatch, witnessed: int) -> Iterator[Seen]:
        """Take a served block; yield columns that are in trouble, and those that are no longer."""
        self.rows += batch.num_rows
        columns = [name for name in batch.schema.names if name.startswith(FEATURE_PREFIX)]
        found = [
            seen for name in columns for seen in self._values(name.removeprefix(FEATURE_PREFIX), batch.column(name))
        ]
        found += self._types(batch)
        troubled = {seen.feature for seen in found}
        self.bad |= dict.fromkeys(sorted(troubled), witnessed)
        yield from found
        for feature in [name for name, since in self.bad.items() if witnessed - since >= GONE_MS]:
            del self.bad[feature]
            yield Seen(feature, "", 0.0, 0.0, 0, "")

    def _values(self, feature: str, column: pa.Array) -> Iterator[Seen]:
        present = len(column) - _missing(column)
        if present:
            self.values[feature] = self.values.get(feature, 0) + present
            self.absent.pop(feature, None)
            return
        run = self.absent[feature] = self.absent.get(feature, 0) + len(column)
        before = self.rows - run
        usual = self.values.get(feature, 0) / before if before else 0.0
        limit = max(ROWS, math.log(CHANCE) / math.log1p(-usual) if 0.0 < usual < 1.0 else ROWS)
        if usual and run >= limit:
            words = f"{feature} has come without a value {run:,} times in a row; {usual:.1%} had one before"
            yield Seen(feature, "rows_without_value", float(run), limit, run, words)

    def _types(self, batch: pa.RecordBatch) -> Iterator[Seen]:
        self.window += batch.num_rows
        for name in batch.schema.names:
            if name.startswith(FLAGS_PREFIX):
                flags = batch.column(name).to_numpy(zero_copy_only=False)
                count = int(np.count_nonzero(flags & FLAG_TYPE_ERROR))
                if count:
                    feature = name.removeprefix(FLAGS_PREFIX)
                    self.errors[feature] = self.errors.get(feature, 0) + count
        if self.window < ROWS:
            return
        for feature, count in sorted(self.errors.items()):
            share = count / self.window
            if share >= TYPE_ERRORS:
                words = f"{feature} came with another type in {share:.1%} of {self.window:,} predictions"
                yield Seen(feature, "type_error_share", share, TYPE_ERRORS, self.window, words)
        self.window, self.errors = 0, {}


def _missing(column: pa.Array) -> int:
    """Return how many rows have no value; NaN is none."""
    if not is_number(column.type):
        return int(column.null_count)
    return int(np.count_nonzero(np.isnan(column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False))))
