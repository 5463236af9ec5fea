"""Rows of labels as the columns of a block."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from shared.events.block import LABEL, LABEL_VERSION, MAX_BYTES, MAX_ROWS
from shared.ingest.columns import FIXED_BYTES, categorical, coordinates, numeric
from shared.ingest.rows import Rows, joined

_CONTENT_BYTES = 16
MAX_LABEL_ROWS = min(MAX_ROWS, MAX_BYTES // (FIXED_BYTES + _CONTENT_BYTES))


def label_batch(parts: Sequence[Rows], *, is_regression: bool, log_time: bool) -> pa.RecordBatch:
    """Return a batch with one row per row, in order."""
    labels, versions = joined(parts).texts
    columns = coordinates(parts, log_time=log_time)
    columns[LABEL] = pa.array(numeric(labels)) if is_regression else categorical(labels)
    columns[LABEL_VERSION] = pa.array(versions, pa.int64())
    return pa.RecordBatch.from_pydict(columns)
