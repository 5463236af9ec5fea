"""Arrow columns as arrays of numbers or codes; a dictionary is translated once, never a row at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.detector.structs import FloatArray
from shared.values import class_text

Codes = npt.NDArray[np.int32]

MISSING = -1
LARGEST = 1e150  # numbers beyond are taken as this: their squares and sums stay finite


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a column holds numbers; booleans are categories."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    )


def numbers(column: pa.Array) -> FloatArray:
    """Return a column of numbers or booleans as float64; null, NaN and infinities are NaN, the one missing value."""
    values = np.array(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    return np.clip(values, -LARGEST, LARGEST) + 0.0


def translated(column: pa.Array, code: Callable[[str], int], missing: int) -> Codes:
    """Return the code of each row's text (`class_text` of a number or boolean); `missing` where it is null or NaN.

    `code` is asked once per distinct value, in order of first occurrence. Chunked columns are taken as well.
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_decimal(whole.type):
        whole = whole.cast(pa.float64())
    encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    values = encoded.dictionary.to_pylist()
    table = np.full(len(values) + 1, missing, dtype=np.int32)  # the last place, index -1, is null's
    for index in _first_occurrences(indices):
        value = values[index]
        if value is not None and value == value:  # noqa: PLR0124 - NaN is missing
            table[index] = code(class_text(value))
    codes: Codes = table[indices]
    return codes


def _first_occurrences(indices: npt.NDArray[np.int64]) -> list[int]:
    distinct, first = np.unique(indices, return_index=True)
    return [int(index) for index in distinct[np.argsort(first)] if index >= 0]
