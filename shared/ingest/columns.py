"""Columns of a block from rows. All of them are functions of the single values: batching changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from shared.events.block import ID, LOG_TS, SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, TS
from shared.identity import ID_BYTES
from shared.ingest.rows import Floats, Rows
from shared.ingest.texts import Texts, Vocabulary, joined_texts

Bits = npt.NDArray[np.uint64]

FIXED_BYTES = ID_BYTES + 8 + 8 + 4 + 4 + 8 + 8  # a row's columns that every block has
_ABSENT = 0  # digest of a null
_ODD, _STEP, _HALF = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0x9E3779B97F4A7C15), np.uint64(33)

Columns = dict[str, pa.Array]


def coordinates(parts: Sequence[Rows], *, log_time: bool) -> Columns:
    """Return identity, time and source of the rows."""
    rows_of = [len(rows) for rows in parts]
    topics = Vocabulary().texts([rows.source.topic for rows in parts])
    columns = {
        ID: _identities(b"".join([rows.identities for rows in parts])),
        TS: pa.array(np.concatenate([rows.ts_ms for rows in parts])),
        SRC_TOPIC: Texts(np.repeat(topics.places, rows_of), topics.levels).dictionary(),
        SRC_PARTITION: pa.array(np.repeat([rows.source.partition for rows in parts], rows_of), pa.int32()),
        SRC_OFFSET: pa.array(np.concatenate([np.array(rows.offsets, np.int64) for rows in parts])),
    }
    if log_time:
        columns[LOG_TS] = pa.array(np.concatenate([rows.log_ts_ms for rows in parts]))
    return columns


def _identities(content: bytes) -> pa.Array:
    return pa.Array.from_buffers(pa.binary(ID_BYTES), len(content) // ID_BYTES, [None, pa.py_buffer(content)])


def text_column(parts: Sequence[Texts]) -> tuple[pa.DictionaryArray, Bits]:
    """Return a column of classes or categories, and what it adds to its rows' digests."""
    texts = joined_texts(parts)
    bits = [*(xxh3_64_intdigest(text.encode()) for text in texts.levels), _ABSENT]  # NULL is the last
    return texts.dictionary(), np.array(bits, np.uint64)[texts.places]


def list_column(parts: Sequence[Rows]) -> tuple[pa.Array, Bits]:
    """Return a column of rankings or gains, and what it adds to its rows' digests."""
    lists = [*chain.from_iterable(rows.content.lists for rows in parts)]
    bits = [_ABSENT if one is None else xxh3_64_intdigest(one) for one in lists]
    return pa.array(lists, pa.binary()), np.array(bits, np.uint64)


def number_bits(values: Floats) -> Bits:
    """Return what a numeric column adds to its rows' digests."""
    return np.where(np.isnan(values), np.nan, values).view(np.uint64)


def digests(columns: Sequence[Bits], rows: int) -> pa.Array:
    """Return a hash over each row of `columns`, as uint64: equal content, equal digest.

    Each column is mixed in by a round of MurmurHash3's finaliser. Every step is a bijection of what was mixed so far,
    so rows that differ in one column only never share a digest.
    """
    mixed = np.zeros(rows, np.uint64)
    for bits in columns:
        mixed ^= bits
        mixed *= _ODD
        mixed ^= mixed >> _HALF
        mixed += _STEP
    return pa.array(mixed)
