"""Columns of a halves block as numpy arrays and lists: each is converted once a block, never a value at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.joiner.words import NULL, Words
from shared.events.block import ID
from shared.identity import ID_BYTES

Codes = NDArray[np.uint16]


def identities(batch: pa.RecordBatch) -> list[bytes]:
    """Return the 16-byte ids of a block's rows."""
    column = batch.column(ID)
    start = column.offset * ID_BYTES
    content = bytes(memoryview(column.buffers()[1])[start : start + len(column) * ID_BYTES])
    return [content[at : at + ID_BYTES] for at in range(0, len(content), ID_BYTES)]


def integers(batch: pa.RecordBatch, name: str) -> NDArray[np.int64]:
    """Return an integer column; null is 0."""
    column = batch.column(name)
    values = column.fill_null(0) if column.null_count else column
    return np.asarray(values.to_numpy(zero_copy_only=False)).astype(np.int64)


def numbers(batch: pa.RecordBatch, name: str) -> NDArray[np.float64]:
    """Return a float column; null is NaN."""
    return np.asarray(batch.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)


def is_number(column: pa.Array) -> bool:
    """Tell whether predictions or labels are numbers; else they are the text of a class."""
    return bool(pa.types.is_floating(column.type) or pa.types.is_integer(column.type))


def lists(batch: pa.RecordBatch, name: str) -> list[bytes | None]:
    """Return a column of rankings or gains."""
    found: list[bytes | None] = batch.column(name).to_pylist()
    return found


def is_list(column: pa.Array) -> bool:
    """Tell whether a column holds rankings or gains, as bytes."""
    return bool(pa.types.is_binary(column.type))


def coded(column: pa.Array, words: Words, namespace: str) -> Codes:
    """Return the words of a text column, admitted in row order; null is `NULL`."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    indices = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    values = encoded.dictionary.to_pylist()
    codes: Codes = np.full(len(values) + 1, NULL, dtype=np.uint16)  # the last place, index -1, is null's
    for index in dict.fromkeys(indices.tolist()):
        if index >= 0 and values[index] is not None:
            codes[index] = words.code(namespace, values[index])
    return np.asarray(codes[indices], dtype=np.uint16)


def texts(codes: Codes, words: Words) -> pa.Array:
    """Return a dictionary column of the words' texts; `NULL` is null."""
    known = {code: words.value(code) for code in dict.fromkeys(codes.tolist())}
    return pa.array([known[code] for code in codes.tolist()], pa.string()).dictionary_encode()
