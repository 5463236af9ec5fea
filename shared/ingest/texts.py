"""Columns of classes and categories: few texts, many rows.

Texts are numbered as soon as they are decoded, so that nothing but arrays waits for a block to fill.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import pack
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.values import class_text

NULL = -1
MAX_LEVELS = 1_000  # known at a time; a column with more of them begins anew

Shown = Callable[[str], str]
Places = npt.NDArray[np.int32]
_BOOLEANS = frozenset({bool, type(None)})


class Texts(NamedTuple):
    """Rows as places among `levels`, which differ from one another and may be more than the rows have."""

    places: Places  # NULL: missing
    levels: Sequence[str]

    def part(self, start: int, stop: int) -> Texts:
        """Return some of the rows."""
        return Texts(self.places[start:stop], self.levels)

    def dictionary(self) -> pa.DictionaryArray:
        """Return the rows as dictionary<int32, utf8>."""
        missing = self.places == NULL
        places = pa.array(self.places, mask=missing if missing.any() else None)
        return pa.DictionaryArray.from_arrays(places, pa.array(self.levels, pa.string()))


class Vocabulary:
    """The texts of one column, each with its number.

    shown: what each text becomes, once; two texts never become the same.
    """

    def __init__(self, shown: Shown = str) -> None:
        self._shown = shown
        self._begin()

    def texts(self, values: Sequence[object]) -> Texts:
        """Return the texts of classes or categories; None is missing."""
        if len(self._levels) > MAX_LEVELS:
            self._begin()
        places = self._places(values)
        return Texts(np.frombuffer(places, np.int32), self._levels)

    def _begin(self) -> None:
        self._levels = _Levels(self._shown)
        self._values, self._texts = _Numbers(self._levels), _Numbers(self._levels)
        self._booleans = _Numbers(self._levels, keeps_booleans=True)

    def _places(self, values: Sequence[object]) -> bytes:
        if not self._values.has_numbers:
            places = _placed(self._values, values)
            if not self._values.has_numbers:
                return places
        # True and 1 are one key of a dict and two categories.
        types = set(map(type, values))
        if bool not in types:
            return _placed(self._values, values)
        if types <= _BOOLEANS:
            return _placed(self._booleans, values)
        texts = [None if value is None else class_text(value) for value in values]  # type: ignore[arg-type]  # decoded
        return _placed(self._texts, texts)


def joined_texts(parts: Sequence[Texts]) -> Texts:
    """Return the rows of all parts, with the levels that they have and no others."""
    lists = {id(part.levels): part.levels for part in parts}
    if len(lists) == 1:
        (levels,) = lists.values()
        places = np.concatenate([part.places for part in parts])
    else:
        codes: dict[str, int] = {}
        tables = {
            name: np.array([*(codes.setdefault(text, len(codes)) for text in found), NULL], np.int32)
            for name, found in lists.items()
        }
        levels = list(codes)
        places = np.concatenate([tables[id(part.levels)][part.places] for part in parts])
    used = np.flatnonzero(np.bincount(places + 1, minlength=len(levels) + 1)[1:])
    if len(used) == len(levels):
        return Texts(places, levels)
    table = np.full(len(levels) + 1, NULL, np.int32)
    table[used] = np.arange(len(used))
    return Texts(table[places], [levels[place] for place in used.tolist()])


def _placed(numbers: _Numbers, values: Sequence[object]) -> bytes:
    return pack(f"{len(values)}i", *map(numbers.__getitem__, values))  # faster than np.fromiter


class _Levels(list[str]):
    """Texts in the order in which they were first asked for."""

    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self._shown = shown
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return the place of a text, which may be new."""
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self)
            self.append(self._shown(text))
        return found


class _Numbers(dict[object, int]):
    """Values to places among levels; None is NULL."""

    def __init__(self, levels: _Levels, *, keeps_booleans: bool = False) -> None:
        super().__init__({None: NULL})
        self._keeps_booleans = keeps_booleans
        self.has_numbers = False
        self._levels = levels

    def __missing__(self, value: object) -> int:
        """Give a new value the number of its text."""
        if not isinstance(value, (str, int, float)):
            return NULL
        self.has_numbers |= not isinstance(value, str)
        place = self._levels.number(class_text(value))
        if self._keeps_booleans or not isinstance(value, bool):
            self[value] = place
        return place
