"""Names that producers send and nobody asked for: ignored, counted, and learned so that they cost no second parse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.errors import Malformed
from shared.values import identifier

MAX_LEARNED = 64  # per codec; past it a record with another unknown name takes the slow path, which counts it too

Field = tuple[str, Any, Any]  # name in JSON, type, default (msgspec.NODEFAULT: required)


class UnknownNames:
    """The unknown names of one object that are worth a place in its typed decoder, and which of them still come."""

    __slots__ = ("_came", "names")

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self._came: set[str] = set()

    def learn(self, seen: Sequence[str]) -> bool:
        """Take in what is new and well-formed, up to MAX_LEARNED; return whether anything was."""
        fresh = [name for name in seen if name not in self.names and _is_identifier(name)]
        before = self.names
        self.names = (*before, *fresh)[:MAX_LEARNED]
        self._came |= {name if name in self.names else "" for name in seen}
        return self.names != before

    def saw(self, times: Sequence[int]) -> None:
        """Take how often each of the first learned names came."""
        self._came.update(name for name, often in zip(self.names, times, strict=False) if often)

    def came(self) -> Set[str]:
        """Return the names that came since the last call; the empty one stands for those that are not learned."""
        came, self._came = self._came, set()
        return came


def object_type(title: str, fields: Sequence[Field], unknown: UnknownNames) -> type[msgspec.Struct]:
    """Return a strict type whose attributes are `f0, f1, ...` in the order of `fields`, then the learned names.

    `msgspec.structs.astuple` of an event gives its values in that order. A name that msgspec cannot rename to (quotes,
    backslashes, control characters) keeps its position under a name that no event has: the typed decoder refuses
    events that use it, and the slow path reads them.
    """
    learned = [(name, Raw | UnsetType, UNSET) for name in unknown.names]
    typed = [(f"f{i}", *field) for i, field in enumerate([*fields, *learned])]
    return msgspec.defstruct(
        title,
        [(attribute, kind, default) for attribute, _, kind, default in typed],
        rename={attribute: _renamable(name, i) for i, (attribute, name, _, _) in enumerate(typed)},
        forbid_unknown_fields=True,
        kw_only=True,
        frozen=True,
        gc=False,
    )


def present(values: Iterable[object]) -> int:
    """Return how many learned names an event had."""
    return sum(value is not UNSET for value in values)


def _is_identifier(name: str) -> bool:
    try:
        identifier(name)
    except Malformed:
        return False
    return True


def _renamable(name: str, position: int) -> str:
    bad = '"' in name or "\\" in name or any(ord(c) < 0x20 for c in name)
    return f"\x7f{position}" if bad else name
