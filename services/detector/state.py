"""State as bytes that a later process reads back exactly, or refuses.

    magic | MessagePack [name, version, fields] | CRC32C of both

Fields are plain values and arrays; an array is written with its type and shape, as `array_bytes.py` says. Floats keep
their bits. Nothing in the bytes is ever executed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self, TypeAlias, TypeVar

import google_crc32c
import msgspec
import numpy as np
from numpy.typing import NDArray

from services.detector import array_bytes
from services.detector.array_types import name_of, type_of
from shared.errors import Corrupt, Newer
from shared.unreadable import UNREADABLE
from shared.versions import version_after

_NAME, FORMAT = b"driftline-state/", 2
MAGIC = b"%b%d\n" % (_NAME, FORMAT)
MAX_BYTES = 256 << 20  # a state is bounded by the series it watches; more than this is no state of ours

Field: TypeAlias = "int | float | str | bytes | bool | NDArray[Any] | Sequence[Field] | Mapping[str, Field] | None"
Fields: TypeAlias = dict[str, Field]

_ARRAY = 1  # MessagePack extension code
_CHECKSUM_BYTES = 4


class Stateful(Protocol):
    """What has a snapshot: named, with a version that moves with the meaning of its fields."""

    name: ClassVar[str]
    version: ClassVar[int]

    def snapshot(self) -> Fields:
        """Return everything that decides about the future, detached from it."""
        ...

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the object that the snapshot was taken of."""
        ...


Restored = TypeVar("Restored", bound=Stateful)
Scalar = TypeVar("Scalar", bound=np.generic)


def save(stateful: Stateful) -> bytes:
    """Return the bytes of an object's snapshot."""
    return pack(stateful.name, stateful.version, stateful.snapshot())


def load(kind: type[Restored], data: bytes) -> Restored:
    """Return the object in `data`, which continues bit for bit.

    Raises:
        Corrupt: `data` is not whole, of another kind or of a version that this release does not read.
        Newer: it is of a version that a later release writes.
    """
    return kind.restore(unpack(kind.name, kind.version, data))


def pack(name: str, version: int, fields: Mapping[str, Field]) -> bytes:
    """Return the bytes of `fields`; equal fields in equal order give equal bytes.

    Raises:
        ValueError: they take more than MAX_BYTES.
    """
    body = MAGIC + msgspec.msgpack.encode([name, version, fields], enc_hook=_encode)
    data = body + int(google_crc32c.value(body)).to_bytes(_CHECKSUM_BYTES, "little")
    if len(data) > MAX_BYTES:
        raise ValueError(f"the state of {name} takes {len(data)} bytes, {MAX_BYTES} are allowed")
    return data


def unpack(name: str, version: int, data: bytes) -> Fields:
    """Return the fields that were packed under this name and version; arrays are writable, sequences are lists.

    Raises:
        Corrupt: no such bytes: magic, checksum, name, version or layout differ.
        Newer: bytes of a later format, or whole bytes of a later version of this name.
    """
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if len(data) > MAX_BYTES or not body.startswith(MAGIC):
        written = version_after(_NAME, body[: len(MAGIC)].partition(b"\n")[0])
        if written is not None and written > FORMAT:
            raise Newer(f"a state of {name} has format {written}, this release reads up to {FORMAT}")
        raise Corrupt(f"not a state of {name}")
    if int(google_crc32c.value(body)) != int.from_bytes(checksum, "little"):
        raise Corrupt(f"the checksum of a state of {name} differs")
    try:
        found, found_version, fields = msgspec.msgpack.decode(
            body[len(MAGIC) :], type=tuple[str, int, dict[str, Any]], ext_hook=_decode
        )
    except (*UNREADABLE, ValueError, TypeError) as exc:
        raise Corrupt(f"a state of {name} does not read back ({exc})") from exc
    if found == name and found_version > version:
        raise Newer(f"state of {name} version {found_version}, this release reads up to version {version}")
    if (found, found_version) != (name, version):
        raise Corrupt(f"state of {found} version {found_version}, this release reads {name} version {version}")
    return fields


def array(fields: Mapping[str, Field], name: str, dtype: type[Scalar]) -> NDArray[Scalar]:
    """Return the array of that name and type.

    Raises:
        Corrupt: there is none.
    """
    value = fields.get(name)
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        raise Corrupt(f"{name} is not an array of {np.dtype(dtype)}")
    return value


def fill(arrays: Mapping[str, NDArray[Any]], fields: Mapping[str, Field]) -> None:
    """Overwrite each of `arrays` with the field of its name.

    Raises:
        Corrupt: a field is missing or of another type or shape.
    """
    for name, target in arrays.items():
        value = fields.get(name)
        if not isinstance(value, np.ndarray) or (value.dtype, value.shape) != (target.dtype, target.shape):
            raise Corrupt(f"{name} is not an array of {target.dtype} {target.shape}")
        target[...] = value


def integer(fields: Mapping[str, Field], name: str) -> int:
    """Return the integer of that name.

    Raises:
        Corrupt: there is none.
    """
    value = fields.get(name)
    if not isinstance(value, int):
        raise Corrupt(f"{name} is not an integer")
    return value


def number(fields: Mapping[str, Field], name: str) -> float:
    """Return the float of that name.

    Raises:
        Corrupt: there is none.
    """
    value = fields.get(name)
    if not isinstance(value, float):
        raise Corrupt(f"{name} is not a float")
    return value


def _encode(value: object) -> msgspec.msgpack.Ext:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"no state holds a {type(value).__name__}")
    layout = msgspec.msgpack.encode([name_of(value.dtype), value.shape])
    return msgspec.msgpack.Ext(_ARRAY, len(layout).to_bytes(2, "little") + layout + array_bytes.written(value))


def _decode(code: int, content: memoryview) -> NDArray[Any]:
    if code != _ARRAY:
        raise ValueError(f"extension {code}")
    end = 2 + int.from_bytes(content[:2], "little")
    dtype, shape = msgspec.msgpack.decode(content[2:end], type=tuple[str, tuple[int, ...]])
    return array_bytes.read(type_of(dtype), shape, content[end:])
