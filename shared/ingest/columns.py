"""Columns of a block from Python values. All of them are functions of the single values: batching changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from struct import pack

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from shared.events.block import ID, LOG_TS, SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, TS
from shared.identity import ID_BYTES
from shared.ingest.rows import Floats, Rows
from shared.values import class_text

Bits = npt.NDArray[np.uint64]

FIXED_BYTES = ID_BYTES + 8 + 8 + 4 + 4 + 8 + 8  # a row's columns that every block has
_ABSENT = 0  # digest of a null
_NULL = -1

Columns = dict[str, pa.Array]


def coordinates(parts: Sequence[Rows], *, log_time: bool) -> Columns:
    """Return identity, time and source of the rows."""
    lengths = [len(rows) for rows in parts]
    topics = categorical([rows.source.topic for rows in parts])
    columns = {
        ID: _identities(list(chain.from_iterable(rows.identities for rows in parts))),
        TS: pa.array(_all(rows.ts_ms for rows in parts), pa.int64()),
        SRC_TOPIC: pa.DictionaryArray.from_arrays(np.repeat(topics.indices, lengths), topics.dictionary),
        SRC_PARTITION: pa.array(np.repeat([rows.source.partition for rows in parts], lengths), pa.int32()),
        SRC_OFFSET: pa.array(_all(rows.offsets for rows in parts), pa.int64()),
    }
    if log_time:
        columns[LOG_TS] = pa.array(_all(rows.log_ts_ms for rows in parts), pa.int64())
    return columns


def _identities(identities: Sequence[bytes]) -> pa.Array:
    content = pa.py_buffer(b"".join(identities))
    return pa.Array.from_buffers(pa.binary(ID_BYTES), len(identities), [None, content])


def _all(sequences: Iterable[Sequence[object]]) -> list[object]:
    return list(chain.from_iterable(sequences))


def numeric(values: Sequence[object]) -> Floats:
    """Return numbers and None as float64; None is NaN, -0.0 is 0.0."""
    return np.array(values, dtype=np.float64) + 0.0


def categorical(values: Sequence[object]) -> pa.DictionaryArray:
    """Return the texts of classes or categories as dictionary<int32, utf8>; None is null."""
    array, _ = coded(values)
    return array


def coded(values: Sequence[object]) -> tuple[pa.DictionaryArray, Bits]:
    """Return `categorical` values, and what they add to their rows' digests."""
    codes = _Codes()
    indices = _coded_by(codes, values)
    levels = [text for text in map(_text, codes) if text is not None]
    if len(set(levels)) < len(levels) or _mix(values, codes):
        texts = [_text(value) for value in values]
        codes = _Codes()
        indices = _coded_by(codes, texts)
        levels = [text for text in codes if isinstance(text, str)]
    missing = indices == _NULL
    array = pa.DictionaryArray.from_arrays(
        pa.array(indices, mask=missing if missing.any() else None), pa.array(levels, pa.string())
    )
    digested = [xxh3_64_intdigest(text.encode()) for text in levels]
    bits: Bits = np.array([*digested, _ABSENT], dtype=np.uint64)[indices]  # _NULL is the last
    return array, bits


def _coded_by(codes: _Codes, values: Sequence[object]) -> npt.NDArray[np.int32]:
    return np.frombuffer(pack(f"{len(values)}i", *map(codes.__getitem__, values)), np.int32)  # faster than np.fromiter


def _mix(values: Sequence[object], distinct: Iterable[object]) -> bool:
    """Return whether there are booleans beside others: True and 1 are one key of a dict and two categories."""
    if {bool, int, float}.isdisjoint(map(type, distinct)):
        return False
    types = set(map(type, values)) - {type(None)}
    return bool in types and len(types) > 1


class _Codes(dict[object, int]):
    """Numbers values in the order in which they are first asked for; None is -1."""

    def __init__(self) -> None:
        super().__init__({None: _NULL})

    def __missing__(self, value: object) -> int:
        """Give a new value the next number."""
        code = self[value] = len(self) - 1
        return code


def _text(value: object) -> str | None:
    return class_text(value) if isinstance(value, (str, int, float)) else None


def number_bits(values: Floats) -> Bits:
    """Return what a numeric column adds to its rows' digests."""
    return np.where(np.isnan(values), np.nan, values).view(np.uint64)


def digests(columns: Sequence[Bits], rows: int) -> pa.Array:
    """Return xxh3_64 over each row of `columns`, as uint64: equal content, equal digest."""
    matrix = np.column_stack(columns).astype("<u8", copy=False).tobytes()
    width = len(matrix) // rows
    contents = [matrix[i : i + width] for i in range(0, len(matrix), width)]
    return pa.array(np.fromiter(map(xxh3_64_intdigest, contents), np.uint64, rows))
