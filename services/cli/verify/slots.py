"""What became of the records of one raw log: ten bytes for each, so that a log of millions fits in memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from services.detector.structs import IntArray
from services.joiner.columns import identities
from shared.events.block import FLAGS_PREFIX, ID, SRC_OFFSET, SRC_PARTITION, SRC_TOPIC
from shared.ingest.columns import number_bits

NOTHING = 0  # became of a record yet

Digests = npt.NDArray[np.uint64]

_PLACE = frozenset({SRC_TOPIC, SRC_PARTITION, SRC_OFFSET})
_ABSENT = 0x9E3779B97F4A7C15
_ODD, _HALF = np.uint64(0xFF51AFD7ED558CCD), np.uint64(33)


class Slots:
    """By offset: a fate, and the digest of the row that was made of the record, where the fate is one.

    Fates are numbers above 0 that whoever keeps the slots gives a meaning.
    """

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        self.fates: npt.NDArray[np.int16] = np.zeros(max(high - low, 0), np.int16)
        self.digests: Digests = np.zeros(max(high - low, 0), np.uint64)

    def take(self, offsets: IntArray, digests: Digests, fate: int) -> IntArray:
        """Take rows of offsets that are kept; return those of which a row under the same fate says otherwise."""
        at = offsets - self.low
        is_new = self.fates[at] == NOTHING
        self.fates[at[is_new]], self.digests[at[is_new]] = fate, digests[is_new]
        found: IntArray = offsets[(self.fates[at] == fate) & (self.digests[at] != digests)]
        return found


def row_digests(batch: pa.RecordBatch, *where: str) -> Digests:
    """Return a hash over each row of a block of halves: equal content, equal digest, however rows are cut into blocks.

    where: texts that belong to the content of every row. Sources are left out, and flags that are not set.
    """
    mixed = np.full(batch.num_rows, _hash("\0".join(where)), np.uint64)
    for name in sorted(set(batch.schema.names) - _PLACE):
        bits = _id_bits(batch) if name == ID else _bits(batch.column(name))
        then = (mixed ^ (bits + np.uint64(_hash(name)))) * _ODD
        then ^= then >> _HALF
        mixed = np.where(bits == 0, mixed, then) if name.startswith(FLAGS_PREFIX) else then
    return mixed


def _id_bits(batch: pa.RecordBatch) -> Digests:
    halves = np.frombuffer(b"".join(identities(batch)), np.uint64).reshape(-1, 2)
    return (halves[:, 0] * _ODD) ^ halves[:, 1]


def _bits(column: pa.Array) -> Digests:
    if pa.types.is_floating(column.type):
        return number_bits(np.asarray(column.to_numpy(zero_copy_only=False), np.float64))
    if pa.types.is_integer(column.type):
        values = np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False)).astype(np.uint64)
        return np.where(column.is_valid().to_numpy(zero_copy_only=False), values, np.uint64(_ABSENT))
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    levels = [*(_hash(text or "") for text in encoded.dictionary.to_pylist()), _ABSENT]
    places = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(np.array(levels, np.uint64)[places], np.uint64)


def _hash(content: str | bytes) -> int:
    return xxh3_64_intdigest(content if isinstance(content, bytes) else content.encode())
