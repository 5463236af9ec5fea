"""A reference whose columns hold hashes where the configuration says so, as the predictions will."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from services.detector.reference_table import plain_name
from services.detector.signals.columns import translated
from shared.identity import IdKey
from shared.monitors import ModelSpec


def with_hashes(model: str, spec: ModelSpec, table: pa.Table, key: IdKey) -> pa.Table:
    """Return the table with the hash of each value in place of it, in columns and segments that are `hash: true`."""
    for place, column in enumerate(table.column_names):
        name = plain_name(column)
        kind = table.column(column).type
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        if name not in spec.hashed or pa.types.is_nested(inner) or pa.types.is_temporal(inner):
            continue
        table = table.set_column(place, column, _hashed(table.column(column), key.levels(model, name)))
    return table


def _hashed(column: pa.ChunkedArray, level: Callable[[str], str]) -> pa.DictionaryArray:
    texts: dict[str, int] = {}
    codes = translated(column, lambda text: texts.setdefault(text, len(texts)), -1)
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(map(level, texts)), pa.string()))
