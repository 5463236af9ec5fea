"""Arrow columns as arrays of numbers or codes; a dictionary is translated once, never a row at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.detector.banks.compiled import kernel
from services.detector.structs import FloatArray, IntArray
from shared.values import class_text

Codes = npt.NDArray[np.int32]
Told = TypeVar("Told", np.int8, np.float64)

MISSING = -1
LARGEST = 1e150  # numbers beyond are taken as this: their squares and sums stay finite
_LEAST, _LARGEST = np.full(1, -np.inf), np.full(1, np.inf)  # where any number will do


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a column holds numbers; booleans are categories."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    )


def numbers(column: pa.Array) -> FloatArray:
    """Return a column of numbers or booleans as float64; null, NaN and infinities are NaN, the one missing value."""
    values = np.array(floats(column), np.float64)
    clean(values[np.newaxis], _LEAST, _LARGEST)
    return values


def floats(column: pa.Array) -> FloatArray:
    """Return a column of numbers or booleans as float64, not clean, to be read only."""
    given = column if pa.types.is_float64(column.type) else column.cast(pa.float64())
    values: FloatArray = given.to_numpy(zero_copy_only=False)
    return values


@kernel
def clean(values: FloatArray, least: FloatArray, largest: FloatArray) -> None:
    """Make all of `values` [columns, rows] NaN that is not finite, below its column's least or above its largest."""
    for column in range(values.shape[0]):
        low, high = least[column], largest[column]
        for row in range(values.shape[1]):
            given = values[column, row]
            value = min(max(given, -LARGEST), LARGEST) + 0.0 if math.isfinite(given) else math.nan
            values[column, row] = value if low <= value <= high else math.nan


def scalars(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Return a column of numbers or classes; where a block of an older configuration has lists, all are missing."""
    return _of_kind(batch, name, pa.string(), are_lists=False)


def lists(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Return a column of rankings or gains; where a block of an older configuration has none, all are missing."""
    return _of_kind(batch, name, pa.binary(), are_lists=True)


def _of_kind(batch: pa.RecordBatch, name: str, missing: pa.DataType, *, are_lists: bool) -> pa.Array:
    if name in batch.schema.names and pa.types.is_binary(batch.column(name).type) is are_lists:
        return batch.column(name)
    return pa.nulls(batch.num_rows, missing)


def translated(column: pa.Array, code: Callable[[str], int], missing: int) -> Codes:
    """Return the code of each row's text (`class_text` of a number or boolean); `missing` where it is null or NaN.

    `code` is asked once per distinct value, in order of first occurrence. Chunked columns are taken as well.
    """
    indices, values = _encoded(column)
    table = np.full(len(values) + 1, missing, dtype=np.int32)  # the last place, index -1, is null's
    for index in _first_occurrences(indices, len(values)):
        if not _is_missing(values[index]):
            table[index] = code(class_text(values[index]))
    codes: Codes = table[indices]
    return codes


def looked_up(column: pa.Array, codes: Mapping[str, int], unknown: int, missing: int) -> Codes:
    """Return the code of each row's text, as `translated` does; `unknown` where there is none for it."""
    indices, values = _encoded(column)
    found = [missing if _is_missing(value) else codes.get(class_text(value), unknown) for value in values]
    table: Codes = np.array([*found, missing], np.int32)
    return table[indices]


def by_text(
    column: pa.Array, tell: Callable[[list[str]], npt.NDArray[Told]], missing: npt.NDArray[Told]
) -> npt.NDArray[Told]:
    """Return what is told of each row's text; `missing`, of one place, where it is null or NaN.

    `tell` is asked once, for all distinct values.
    """
    indices, values = _encoded(column)
    places = [place for place, value in enumerate(values) if not _is_missing(value)]
    table = np.repeat(missing, len(values) + 1)  # the last place, index -1, is null's
    table[places] = tell([class_text(values[place]) for place in places])
    found: npt.NDArray[Told] = table[indices]
    return found


def _encoded(column: pa.Array) -> tuple[IntArray, list[Any]]:
    """Return the place of each row's value among the values, -1 where it is null, and the values."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_decimal(whole.type):
        whole = whole.cast(pa.float64())
    encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    places = encoded.indices.fill_null(-1) if encoded.indices.null_count else encoded.indices
    return places.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN is missing


def _first_occurrences(indices: IntArray, values: int) -> list[int]:
    """Return the distinct indices, in the order in which they occur first."""
    order = np.empty(values, np.int64)
    found: list[int] = order[: _occurring(indices, np.zeros(values, np.bool_), order)].tolist()
    return found


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
