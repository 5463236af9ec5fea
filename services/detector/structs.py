"""State as typed structs: what is declared is what a checkpoint holds, arrays included."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.detector.array_types import name_of, type_of

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
CodeArray = NDArray[np.int32]
Counts = NDArray[np.int64] | NDArray[np.float64]  # of rows, or of as many as are to be expected

State = TypeVar("State", bound=msgspec.Struct)


class _Array(msgspec.Struct, frozen=True, array_like=True):
    """An array on the wire: little-endian, C order."""

    dtype: str
    shape: tuple[int, ...]
    content: bytes


def encode_struct(state: msgspec.Struct) -> bytes:
    """Return canonical bytes: equal states give equal bytes."""
    return msgspec.msgpack.encode(state, enc_hook=_encode_array)


def decode_struct(content: bytes, type_: type[State]) -> State:
    """Return the state in `content`.

    Raises:
        msgspec.ValidationError: the bytes are of another struct.
    """
    return msgspec.msgpack.decode(content, type=type_, dec_hook=_decode_array)


def _encode_array(value: object) -> object:
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"no state holds a {type(value).__name__}")
    little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    return _Array(name_of(little.dtype), little.shape, little.tobytes())


def _decode_array(type_: type, value: Any) -> object:  # noqa: ARG001 - the hook's signature; arrays are the only case
    dtype, shape, content = value
    kind = type_of(dtype)
    return np.frombuffer(content, kind).reshape(shape).astype(kind.newbyteorder("=")).copy()
