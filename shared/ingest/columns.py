"""Columns of a block from Python values. All of them are functions of the single values: batching changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from shared.events.block import ID, LOG_TS, SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, TS
from shared.identity import ID_BYTES
from shared.ingest.codec import Row
from shared.values import class_text

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint64]

FIXED_BYTES = ID_BYTES + 8 + 8 + 4 + 4 + 8 + 8  # a row's columns that every block has
_ABSENT = 0  # digest of a null

Columns = dict[str, pa.Array]


def coordinates(rows: Sequence[Row], *, log_time: bool) -> Columns:
    """Return identity, time and source of the rows."""
    columns = {
        ID: pa.array([row.identity for row in rows], pa.binary(ID_BYTES)),
        TS: pa.array([row.ts_ms for row in rows], pa.int64()),
        SRC_TOPIC: pa.array([row.topic for row in rows], pa.string()).dictionary_encode(),
        SRC_PARTITION: pa.array([row.partition for row in rows], pa.int32()),
        SRC_OFFSET: pa.array([row.offset for row in rows], pa.int64()),
    }
    if log_time:
        columns[LOG_TS] = pa.array([row.log_ts_ms for row in rows], pa.int64())
    return columns


def numeric(values: Sequence[object]) -> Floats:
    """Return numbers and None as float64; None is NaN, -0.0 is 0.0."""
    return np.array(values, dtype=np.float64) + 0.0


def categorical(values: Sequence[object]) -> pa.DictionaryArray:
    """Return the texts of classes or categories as dictionary<int32, utf8>; None is null."""
    types = set(map(type, values))
    types.discard(type(None))
    if types <= {str}:
        texts = pa.array(values, pa.string()).dictionary_encode()
        levels = [class_text(level) for level in texts.dictionary.to_pylist()]
        if len(set(levels)) == len(levels):
            return pa.DictionaryArray.from_arrays(texts.indices, pa.array(levels, pa.string()))
    return pa.array(_texts(values, types), pa.string()).dictionary_encode()


def _texts(values: Sequence[object], types: set[type]) -> list[str | None]:
    if bool in types and len(types) > 1:  # True and 1 are one key of a dict and two categories
        return [_text(value) for value in values]
    texts = {value: _text(value) for value in set(values)}
    return [texts[value] for value in values]


def _text(value: object) -> str | None:
    return class_text(value) if isinstance(value, (str, int, float)) else None


def number_bits(values: Floats) -> Bits:
    """Return what a numeric column adds to its rows' digests."""
    return np.where(np.isnan(values), np.nan, values).view(np.uint64)


def text_bits(values: pa.DictionaryArray) -> Bits:
    """Return what a dictionary column adds to its rows' digests."""
    levels = [xxh3_64_intdigest(text.encode()) for text in values.dictionary.to_pylist()]
    codes = values.indices.fill_null(len(levels)).to_numpy(zero_copy_only=False)
    bits: Bits = np.array([*levels, _ABSENT], dtype=np.uint64)[codes]
    return bits


def digests(columns: Sequence[Bits], rows: int) -> pa.Array:
    """Return xxh3_64 over each row of `columns`, as uint64: equal content, equal digest."""
    matrix = np.column_stack(columns).astype("<u8").tobytes()
    width = len(matrix) // rows
    hashed = map(xxh3_64_intdigest, (matrix[i : i + width] for i in range(0, len(matrix), width)))
    return pa.array(hashed, pa.uint64(), size=rows)
