"""The reference as served rows in time order, as if it came over the log."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from services.detector.reference_table import ReferenceColumn, ReferenceTable
from services.detector.signals.columns import Codes
from services.detector.structs import IntArray
from shared.events.block import MAX_ROWS, SEGMENT_PREFIX, TS


def reference_batches(reference: ReferenceTable, rows: int | None = None) -> Iterator[pa.RecordBatch]:
    """Yield batches of what detection reads of served rows; of the first so many, or of all.

    A reference without `ts` keeps the table's order, and all of it is of one time.
    """
    ts = np.zeros(reference.rows, np.int64) if reference.ts is None else reference.ts
    order = np.argsort(ts, kind="stable")[:rows]
    columns = {column.source: _values(reference, column, order) for column in reference.columns()}
    for name in reference.spec.dimensions:
        codes, texts = reference.dimension(name)
        columns[f"{SEGMENT_PREFIX}{name}"] = _words(codes[order], texts)
    columns[TS] = pa.array(ts[order])
    yield from pa.table(columns).to_batches(max_chunksize=MAX_ROWS)


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
