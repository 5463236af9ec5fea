"""Words: the texts that entries hold as 16-bit codes, interned once a shard.

Admission is in log order, so that the table is a function of the log prefix like everything else in the view. Both
caps bound what a producer of endless values can make us keep.
"""

from __future__ import annotations

import google_crc32c
import msgspec

from shared.errors import Corrupt, Newer
from shared.unreadable import UNREADABLE
from shared.values import OTHER_LEVEL

VERSION = b"\x01"
NULL, OTHER = 0, 1
NAMESPACE_CAP = 1_000  # words of one namespace: classes of a model, values of a segment dimension, ...
TOTAL_CAP = 60_000  # words of a shard; codes are 16 bits

_FIRST = 2  # the code of the first word; 0 and 1 are NULL and OTHER


class _Table(msgspec.Struct, array_like=True):
    namespaces: list[str]
    words: list[tuple[int, str]]  # (namespace, value) in order of admission


class Words:
    """Interned (namespace, value) pairs. Codes are never given back and never change."""

    __slots__ = ("_codes", "_namespaces", "_sizes", "_values")

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], int] = {}
        self._values: list[tuple[str, str]] = []
        self._namespaces: dict[str, int] = {}
        self._sizes: list[int] = []

    def __len__(self) -> int:
        return len(self._values)

    @property
    def fullest(self) -> int:
        """Return how many words the fullest namespace has."""
        return max(self._sizes, default=0)

    def code(self, namespace: str, value: str) -> int:
        """Return the code of `value`, admitting it; `OTHER` once the namespace or the table is full."""
        if value == OTHER_LEVEL:
            return OTHER
        found = self._codes.get((namespace, value))
        if found is not None:
            return found
        number = self._namespaces.setdefault(namespace, len(self._namespaces))
        if number == len(self._sizes):
            self._sizes.append(0)
        if self._sizes[number] >= NAMESPACE_CAP or len(self._values) >= TOTAL_CAP:
            return OTHER
        self._sizes[number] += 1
        self._values.append((namespace, value))
        return self._codes.setdefault((namespace, value), len(self._values) - 1 + _FIRST)

    def value(self, code: int) -> str | None:
        """Return the text of `code`; None for `NULL`.

        Raises:
            Corrupt: no such word was admitted.
        """
        if code == NULL:
            return None
        if code == OTHER:
            return OTHER_LEVEL
        try:
            return self._values[code - _FIRST][1]
        except IndexError as exc:
            raise Corrupt(f"the view has no word {code}") from exc

    def word(self, code: int) -> tuple[str, str]:
        """Return (namespace, value) of a code that `code` gave.

        Raises:
            Corrupt: no such word was admitted.
        """
        if not _FIRST <= code < len(self._values) + _FIRST:
            raise Corrupt(f"the view has no word {code}")
        return self._values[code - _FIRST]

    def pack(self) -> bytes:
        """Return the table as bytes with a version header."""
        used = dict.fromkeys(namespace for namespace, _ in self._values)
        numbers = {namespace: number for number, namespace in enumerate(used)}
        table = _Table(list(used), [(numbers[namespace], value) for namespace, value in self._values])
        return VERSION + msgspec.msgpack.encode(table)

    @classmethod
    def unpack(cls, packed: bytes) -> Words:
        """Return the table in `packed`; an empty one where nothing was stored yet.

        Raises:
            Corrupt, Newer: not written by a release that this one can read.
        """
        words = cls()
        if not packed:
            return words
        if packed[:1] != VERSION:
            reason = Newer if packed[:1] > VERSION else Corrupt
            raise reason(f"the view's words have version {packed[0]}, this release reads {VERSION[0]}")
        try:
            table = msgspec.msgpack.decode(packed[1:], type=_Table)
            for number, value in table.words:
                words.code(table.namespaces[number], value)
        except (*UNREADABLE, IndexError) as exc:
            raise Corrupt(f"the view's words do not read back ({exc})") from exc
        return words


def checksum(packed: bytes) -> int:
    """Return what the meta keeps of the packed words, so that a cached table is known to be the stored one."""
    return int(google_crc32c.value(packed)) if packed else 0
