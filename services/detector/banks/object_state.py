"""The state of plain Python objects as fields, for objects that know no state of their own.

`fields_of` walks the attributes of an object; `become` sets them on a new one that was made with the same parameters.
So nothing in the bytes names a class or is executed: what is made is decided by who calls. Bound methods are
parameters in disguise and stay what the constructor made them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from inspect import ismethod
from typing import Any, Protocol, runtime_checkable

import numpy as np

from services.detector.state import Field, Fields, array
from shared.errors import Corrupt


@runtime_checkable
class _Generator(Protocol):
    """Python's own generator of random numbers."""

    def getstate(self) -> tuple[int, tuple[int, ...], float | None]: ...

    def setstate(self, state: tuple[int, tuple[int, ...], float | None], /) -> None: ...


def fields_of(source: object) -> Fields:
    """Return everything that `source` holds, detached from it.

    Raises:
        ValueError: an attribute is not made of plain values, queues, generators and objects of such.
    """
    return {name: _field(name, value) for name, value in _attributes(source)}


def become(target: object, fields: Field) -> None:
    """Set on `target` what `fields_of` returned of an object of its class and parameters.

    Raises:
        Corrupt: the fields are of another object.
    """
    attributes = dict(_attributes(target))
    if not isinstance(fields, dict) or set(fields) != set(attributes):
        raise Corrupt(f"no state of {type(target).__name__}")
    for name, value in attributes.items():
        setattr(target, name, _value(name, value, fields[name]))


def _attributes(source: object) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in vars(source).items() if not ismethod(value))


def _is_plain(value: object) -> bool:
    return value is None or type(value) in {bool, int, float, str}


def _field(name: str, value: object) -> Field:
    if isinstance(value, np.floating):
        return float(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, deque):
        return [_field(name, item) for item in value]
    if isinstance(value, _Generator):
        version, words, gauss = value.getstate()
        return {"version": version, "words": np.array(words, np.uint32), "gauss": gauss}
    if not hasattr(value, "__dict__"):
        raise ValueError(f"{name} is a {type(value).__name__}, which does not read back")
    return fields_of(value)


def _value(name: str, before: object, field: Field) -> object:
    """Return what an attribute that is `before` in a new object becomes."""
    if isinstance(before, deque):
        if not isinstance(field, list) or not all(map(_is_plain, field)):
            raise Corrupt(f"{name} is not a queue")
        return deque(field, before.maxlen)
    if isinstance(before, _Generator):
        if not isinstance(field, dict):
            raise Corrupt(f"{name} is not a generator")
        words = tuple(array(field, "words", np.uint32).tolist())
        try:
            before.setstate((field["version"], words, field["gauss"]))
        except (KeyError, TypeError, ValueError) as exc:
            raise Corrupt(f"{name} is not a generator ({exc})") from exc
        return before
    if hasattr(before, "__dict__"):
        become(before, field)
        return before
    if not _is_plain(field):
        raise Corrupt(f"{name} is not a plain value")
    return field
