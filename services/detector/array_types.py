"""The types that arrays in bytes may name: truth values and numbers, nothing that holds references."""

from __future__ import annotations

from typing import Any

import numpy as np

_TYPES = {
    name: np.dtype(name)
    for name in ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
}


def name_of(dtype: np.dtype[Any]) -> str:
    """Return what an array's type is called in bytes.

    Raises:
        TypeError: no bytes may name it.
    """
    name = str(dtype.newbyteorder("<").str)
    if name not in _TYPES:
        raise TypeError(f"no state holds an array of {dtype}")
    return name


def type_of(name: str) -> np.dtype[Any]:
    """Return the type of that name; numpy is not asked, which would run what it takes for a list of types.

    Raises:
        ValueError: there is none.
    """
    try:
        return _TYPES[name]
    except KeyError as exc:
        raise ValueError(f"no array of {name!r}") from exc
