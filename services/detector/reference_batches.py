"""The reference as rows in time order, as if they came over the log."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from services.detector.baseline import Baseline
from services.detector.reference_table import ReferenceColumn, ReferenceTable
from services.detector.signals.columns import Codes
from services.detector.structs import IntArray
from shared.events.block import ITEMS, LABEL, MAX_ROWS, PREDICTION, SCORE, SEGMENT_PREFIX, TS

DAYS_A_MONTH, DAYS_A_WEEK = 30, 7


def reference_batches(
    reference: ReferenceTable, rows: int | None = None, *, with_labels: bool = False
) -> Iterator[pa.RecordBatch]:
    """Yield batches of what detection reads of served rows; of the first so many, or of all.

    A reference without `ts` keeps the table's order, and all of it is of one time. with_labels: each row with its own.
    """
    ts, order = _in_time(reference, rows)
    columns = {column.source: _values(reference, column, order) for column in reference.columns()}
    for name in reference.spec.dimensions:
        codes, texts = reference.dimension(name)
        columns[f"{SEGMENT_PREFIX}{name}"] = _words(codes[order], texts)
    columns[TS] = pa.array(ts[order])
    if with_labels:
        for name in (LABEL, *([ITEMS] if reference.has(ITEMS) else [])):
            columns[name] = reference.table.column(name).take(order)
    yield from pa.table(columns).to_batches(max_chunksize=MAX_ROWS)


def labelled_batches(reference: ReferenceTable, rows: int | None = None) -> Iterator[pa.RecordBatch]:
    """Yield batches of what detection reads of labelled rows, in the order of their predictions."""
    _, order = _in_time(reference, rows)
    columns = [name for name in (PREDICTION, LABEL, SCORE) if reference.has(name)]
    yield from reference.table.select(columns).take(order).to_batches(max_chunksize=MAX_ROWS)


def a_month(times: int, baseline: Baseline, rows: int) -> float | None:
    """Return how often a month happens what came so many times in so many rows; None where nothing tells the pace."""
    if baseline.rows_per_week is None:
        return None
    return times * DAYS_A_MONTH / DAYS_A_WEEK * baseline.rows_per_week / rows


def _in_time(reference: ReferenceTable, rows: int | None) -> tuple[IntArray, IntArray]:
    ts = np.zeros(reference.rows, np.int64) if reference.ts is None else reference.ts
    return ts, np.argsort(ts, kind="stable")[:rows]


def _values(reference: ReferenceTable, column: ReferenceColumn, order: IntArray) -> pa.Array:
    if not column.is_numeric:
        return _words(column.codes[order], column.texts)
    if column.role != "feature":
        return pa.array(column.values[order])
    # As they came: what lies outside the configured range is counted as such.
    name = column.name if reference.has(column.name) else f"features.{column.name}"
    return pa.array(reference.numbers(name)[order])


def _words(codes: Codes, texts: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(texts, pa.string()))
