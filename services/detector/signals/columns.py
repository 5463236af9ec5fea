"""Arrow columns as arrays of numbers or codes; a dictionary is translated once, never a row at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.detector.banks.compiled import kernel
from services.detector.structs import FloatArray, IntArray
from shared.values import class_text

Codes = npt.NDArray[np.int32]

MISSING = -1
LARGEST = 1e150  # numbers beyond are taken as this: their squares and sums stay finite


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a column holds numbers; booleans are categories."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    )


def numbers(column: pa.Array, least: float = -math.inf, largest: float = math.inf) -> FloatArray:
    """Return a column of numbers or booleans as float64; null, NaN and infinities are NaN, the one missing value.

    So are numbers below the least and above the largest that are asked for.
    """
    given = column if pa.types.is_float64(column.type) else column.cast(pa.float64())
    values = np.array(given.to_numpy(zero_copy_only=False), np.float64)
    _clean(values, least, largest)
    return values


def translated(column: pa.Array, code: Callable[[str], int], missing: int) -> Codes:
    """Return the code of each row's text (`class_text` of a number or boolean); `missing` where it is null or NaN.

    `code` is asked once per distinct value, in order of first occurrence. Chunked columns are taken as well.
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_decimal(whole.type):
        whole = whole.cast(pa.float64())
    encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    places = encoded.indices.fill_null(-1) if encoded.indices.null_count else encoded.indices
    indices = places.to_numpy(zero_copy_only=False).astype(np.int64)
    values = encoded.dictionary.to_pylist()
    table = np.full(len(values) + 1, missing, dtype=np.int32)  # the last place, index -1, is null's
    for index in _first_occurrences(indices, len(values)):
        value = values[index]
        if value is not None and value == value:  # noqa: PLR0124 - NaN is missing
            table[index] = code(class_text(value))
    codes: Codes = table[indices]
    return codes


def _first_occurrences(indices: IntArray, values: int) -> list[int]:
    """Return the distinct indices, in the order in which they occur first."""
    order = np.empty(values, np.int64)
    found: list[int] = order[: _occurring(indices, np.zeros(values, np.bool_), order)].tolist()
    return found


@kernel
def _clean(values: FloatArray, least: float, largest: float) -> None:
    for i in range(values.shape[0]):
        value = min(max(values[i], -LARGEST), LARGEST) + 0.0 if math.isfinite(values[i]) else math.nan
        values[i] = value if least <= value <= largest else math.nan


@kernel
def _occurring(indices: IntArray, seen: npt.NDArray[np.bool_], order: IntArray) -> int:
    count = 0
    for i in range(indices.shape[0]):
        index = indices[i]
        if index >= 0 and not seen[index]:
            seen[index] = True
            order[count] = index
            count += 1
    return count
