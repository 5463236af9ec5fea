"""Arrays as bytes: integers in as many bytes as each needs, all else little-endian in C order.

Counts are small and there are many of them. An integer is written as LEB128: seven bits a byte, the lowest first, the
high bit set in all bytes but the last. One with a sign is folded before, as in protocol buffers: 0, -1, 1, -2 become 0,
1, 2, 3. Integers of one byte stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.compiled import kernel

_BITS = np.uint64(7)
_MORE = np.uint64(0x80)
_LOW = np.uint64(0x7F)
_MOST_BITS = np.uint64(64)


def written(values: NDArray[Any]) -> bytes:
    """Return the bytes of an array; neither its layout nor its byte order decides."""
    if not _is_folded(values.dtype):
        return np.asarray(values, values.dtype.newbyteorder("<"), order="C").tobytes()
    folded = _folded(values).ravel()
    content = np.empty(_length(folded), np.uint8)
    _write(folded, content)
    return content.tobytes()


def read(dtype: np.dtype[Any], shape: Sequence[int], content: bytes | memoryview) -> NDArray[Any]:
    """Return the array of that type and shape that was written; its byte order is the machine's.

    Raises:
        ValueError: the bytes are of no such array.
    """
    native = dtype.newbyteorder("=")
    if not _is_folded(dtype):
        return np.frombuffer(content, dtype.newbyteorder("<")).reshape(shape).astype(native)
    count = math.prod(shape)
    if not 0 <= count <= len(content):
        raise ValueError(f"{len(content)} bytes hold no {count} integers")
    folded = np.empty(count, np.uint64)
    if not _read(np.frombuffer(content, np.uint8).copy(), folded):
        raise ValueError(f"the bytes are not those of {count} integers")
    values = _unfolded(folded) if dtype.kind == "i" else folded
    return values.astype(native).reshape(shape)


def _is_folded(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iu" and dtype.itemsize > 1


def _folded(values: NDArray[Any]) -> NDArray[np.uint64]:
    if values.dtype.kind == "u":
        return np.ascontiguousarray(values, np.uint64)
    wide = np.ascontiguousarray(values, np.int64)
    return ((wide << 1) ^ (wide >> 63)).view(np.uint64)


def _unfolded(folded: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (folded >> np.uint64(1)).view(np.int64) ^ -(folded & np.uint64(1)).view(np.int64)


@kernel
def _length(folded: NDArray[np.uint64]) -> int:
    length = folded.size
    for value in folded:
        rest = value >> _BITS
        while rest != 0:
            rest >>= _BITS
            length += 1
    return length


@kernel
def _write(folded: NDArray[np.uint64], content: NDArray[np.uint8]) -> None:
    at = 0
    for value in folded:
        rest = value
        while rest > _LOW:
            content[at] = (rest & _LOW) | _MORE
            rest >>= _BITS
            at += 1
        content[at] = rest
        at += 1


@kernel
def _read(content: NDArray[np.uint8], folded: NDArray[np.uint64]) -> bool:
    """Fill `folded`, and tell whether the bytes hold that many numbers and no more."""
    at = 0
    for place in range(folded.size):
        value, bits, byte = np.uint64(0), np.uint64(0), _MORE
        while byte > _LOW:
            if at == content.size or bits >= _MOST_BITS:
                return False
            byte = np.uint64(content[at])
            value |= (byte & _LOW) << bits
            bits += _BITS
            at += 1
        folded[place] = value
    return at == content.size
