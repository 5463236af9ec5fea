"""Rows of labels as the columns of a block."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa

from shared.events.block import LABEL, LABEL_VERSION, MAX_BYTES, MAX_ROWS
from shared.ingest.columns import FIXED_BYTES, coordinates, list_column
from shared.ingest.rows import Rows
from shared.ingest.texts import joined_texts

_CONTENT_BYTES = 16
MAX_LABEL_ROWS = min(MAX_ROWS, MAX_BYTES // (FIXED_BYTES + _CONTENT_BYTES))


def label_batch(parts: Sequence[Rows], task: str, *, log_time: bool) -> pa.RecordBatch:
    """Return a batch with one row per row, in order."""
    contents = [rows.content for rows in parts]
    columns = coordinates(parts, log_time=log_time)
    if task == "ranking":
        columns[LABEL], _ = list_column(parts)
    elif task == "regression":
        columns[LABEL] = pa.array(np.concatenate([content.numbers[0] for content in contents]))
    else:
        columns[LABEL] = joined_texts([content.texts[0] for content in contents]).dictionary()
    versions = chain.from_iterable(content.integers[0] for content in contents)
    columns[LABEL_VERSION] = pa.array(versions, pa.int64())
    return pa.RecordBatch.from_pydict(columns)
