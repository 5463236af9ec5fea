"""Entries: all that is kept of one request id, as few bytes as it takes.

    predictions u8 | expiry u48, log time in ms | one record a model version, see shapes.py | label record or nothing

An erased id keeps no prediction, and one byte where its label stood: until it expires nothing more is taken of it.

Little endian; the version of the format is in the view's meta. A binary model with one score and three segment
dimensions takes 51 bytes before its label, 90 after. What a model ranks follows the record of its prediction, gains
follow that of the label: 8 bytes an item, 16 a gain.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.joiner.columns import coded, integers, is_list, is_number, lists, numbers
from services.joiner.shapes import Shapes, class_namespace
from services.joiner.words import Words
from shared.errors import Corrupt
from shared.events.block import LABEL, LABEL_VERSION, SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, TS

MAX_VERSIONS = 4
CLASS_LABEL, NUMBER_LABEL, GAINS_LABEL = 1, 2, 3

# A label's value is a number, the code of its class, or the number of bytes of gains that follow: one layout for all.
LABEL_RECORD = np.dtype(
    [
        ("kind", "u1"),
        ("value", "<f8"),
        ("versioned", "u1"),
        ("version", "<i8"),
        ("ts", "<i8"),
        ("partition", "<u4"),
        ("offset", "<u8"),
        ("topic", "<u2"),
    ]
)
_LABEL_BYTES = LABEL_RECORD.itemsize
_VALUE_END = 9  # kind and value: equal bytes, equal labels
_RANK = struct.Struct("<BqqIQ")  # versioned, version, ts, partition, offset
_VALUE = struct.Struct("<d")
_HEADER = 7
_CODES = 1 << 16  # of words
_LAST_TIME = (1 << 48) - 1
_ERASED = b"\0"

Rank = tuple[bool, int, int, int]


class Entry(NamedTuple):
    """One id: when it expires, its packed predictions in order of arrival, its packed label (empty: none)."""

    expiry: int
    parts: tuple[bytes, ...]
    label: bytes

    @classmethod
    def erased(cls, expiry: int) -> Entry:
        """Return what is left of an id that is to be forgotten."""
        return cls(expiry, (), _ERASED)

    @property
    def is_erased(self) -> bool:
        """Tell whether the id is to be forgotten."""
        return self.label == _ERASED


def expiry(log_time: int, horizon_ms: int) -> int:
    """Return the last log time at which an entry made now still counts."""
    return min(log_time + horizon_ms, _LAST_TIME)


def expires(packed: bytes) -> int:
    """Return the last log time at which a packed entry counts."""
    return int.from_bytes(packed[1:_HEADER], "little")


def header(predictions: int, expiry: int) -> bytes:
    """Return what a packed entry begins with; its predictions follow, then its label."""
    return bytes((predictions,)) + expiry.to_bytes(6, "little")


def pack(entry: Entry) -> bytes:
    """Return the bytes of an entry."""
    return b"".join((header(len(entry.parts), entry.expiry), *entry.parts, entry.label))


def unlabelled(packed: bytes, shapes: Shapes) -> bytes:
    """Return the prediction of a packed entry that has one and no label, which is most; empty of any other.

    A label appended to such an entry gives the entry with the label.
    """
    try:
        if packed[0] != 1:
            return b""
        shape = shapes.of(packed[7] | packed[8] << 8)
        if len(packed) != _HEADER + shape.width and (
            not shape.is_ranking or len(packed) != _HEADER + shape.width + shape.items(packed, _HEADER)
        ):
            return b""
    except IndexError:
        return b""  # `unpack` says what is wrong with it
    return packed[_HEADER:]


def unpack(packed: bytes, shapes: Shapes) -> Entry:
    """Return the entry in `packed`.

    Raises:
        Corrupt: it does not end where its shapes say.
    """
    at, parts = _HEADER, []
    try:
        for _ in range(packed[0]):
            shape = shapes.of(packed[at] | packed[at + 1] << 8)
            end = at + shape.width + (shape.items(packed, at) if shape.is_ranking else 0)
            parts.append(packed[at:end])
            at = end
        label = packed[at:]
        is_whole = at <= len(packed) and (label in (b"", _ERASED) or _is_label(label))
    except (IndexError, struct.error):
        is_whole = False
    if not is_whole:
        raise Corrupt(f"an entry of {len(packed)} bytes does not end where its predictions say")
    return Entry(expires(packed), tuple(parts), label)


def _is_label(label: bytes) -> bool:
    (value,) = _VALUE.unpack_from(label, 1)
    if label[0] == GAINS_LABEL:
        return bool(len(label) == _LABEL_BYTES + value)
    is_value = label[0] == NUMBER_LABEL or (label[0] == CLASS_LABEL and value.is_integer() and 0 <= value < _CODES)
    return len(label) == _LABEL_BYTES and is_value


def gains_of(label: bytes) -> tuple[bytes, bytes]:
    """Return the record of a packed label, and the gains that follow it."""
    return label[:_LABEL_BYTES], label[_LABEL_BYTES:]


def pack_labels(model: str, batch: pa.RecordBatch, words: Words) -> NDArray[np.void]:
    """Return one label record a row of a block of labels; gains follow theirs, as the block has them."""
    packed = np.zeros(batch.num_rows, LABEL_RECORD)
    column = batch.column(LABEL)
    if is_number(column):
        packed["kind"], packed["value"] = NUMBER_LABEL, numbers(batch, LABEL)
    elif is_list(column):
        packed["kind"], packed["value"] = GAINS_LABEL, [len(gains or b"") for gains in lists(batch, LABEL)]
    else:
        packed["kind"], packed["value"] = CLASS_LABEL, coded(column, words, class_namespace(model))
    if LABEL_VERSION in batch.schema.names:
        packed["versioned"] = batch.column(LABEL_VERSION).is_valid().to_numpy(zero_copy_only=False)
        packed["version"] = integers(batch, LABEL_VERSION)
    packed["ts"] = integers(batch, TS)
    packed["partition"] = integers(batch, SRC_PARTITION)
    packed["offset"] = integers(batch, SRC_OFFSET)
    packed["topic"] = coded(batch.column(SRC_TOPIC), words, "topic")
    return packed


def same_label(one: bytes, other: bytes) -> bool:
    """Tell whether two packed labels say the same, whoever said it."""
    return one[:_VALUE_END] == other[:_VALUE_END] and one[_LABEL_BYTES:] == other[_LABEL_BYTES:]


def rank(label: bytes) -> Rank:
    """Return what orders the labels of one id: a version before any time, else their time, else where they stand.

    Never the order of arrival: the same labels give the same winner however they come.
    """
    versioned, version, ts, partition, offset = _RANK.unpack_from(label, _VALUE_END)
    return bool(versioned), version if versioned else ts, partition, offset
