"""Books in Redis: two keys a partition, moved by one script. Redis may lose or repeat anything.

`{driftline:<installation>:notify:<partition>}:b` is a hash of `book`, its digest `mark`, and `alert:<offset>` for each
alert that the book names; `:log` is the delivery log, a list of JSON, newest last. The braces keep a partition's keys
together on a Redis cluster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import cast

import msgspec

from services.notifier.books import MAX_OUTCOMES, Change, Outcome, Stored
from shared.access import RedisAccess
from shared.adapters.redis import answering, connect
from shared.errors import Corrupt

_ALERT = b"alert:"


class RedisBooks:
    """`Books` of one installation."""

    def __init__(self, access: RedisAccess, *, installation: str) -> None:
        self._redis = connect(access)
        self._installation = installation
        script = (files("services.notifier.adapters") / "compare_and_set.lua").read_text(encoding="utf-8")
        self._compare_and_set = self._redis.register_script(script)

    def load(self, partition: int) -> Stored | None:
        """Return a partition's book.

        Raises:
            Corrupt: book and mark do not belong together.
        """
        book_key, _ = self._keys(partition)
        with answering():
            fields = cast("dict[bytes, bytes]", self._redis.hgetall(book_key))
        if b"mark" not in fields:
            return None
        book = fields.get(b"book", b"")
        if _mark(book).encode() != fields[b"mark"]:
            raise Corrupt(f"{book_key} holds a book that is not the marked one")
        alerts = {int(name.removeprefix(_ALERT)): v for name, v in fields.items() if name.startswith(_ALERT)}
        return Stored(book, alerts)

    def advance(self, partition: int, before: bytes | None, change: Change) -> bool:
        """Apply `change` if the book is still the one in `before`."""
        arguments: list[str | bytes | int] = [
            "" if before is None else _mark(before),
            _mark(change.book),
            change.book,
            MAX_OUTCOMES,
            len(change.added),
        ]
        for added in change.added.items():
            arguments += added
        arguments += [len(change.dropped), *change.dropped]
        arguments += [msgspec.json.encode(outcome) for outcome in change.outcomes]
        with answering():
            return bool(self._compare_and_set(keys=self._keys(partition), args=arguments))

    def outcomes(self, partition: int) -> Sequence[Outcome]:
        """Return the delivery log."""
        _, log_key = self._keys(partition)
        with answering():
            lines = cast("list[bytes]", self._redis.lrange(log_key, 0, -1))
        return [msgspec.json.decode(line, type=Outcome) for line in lines]

    def close(self) -> None:
        """Leave."""
        self._redis.close()

    def _keys(self, partition: int) -> list[str]:
        name = f"{{driftline:{self._installation}:notify:{partition}}}"
        return [f"{name}:b", f"{name}:log"]


def _mark(book: bytes) -> str:
    return hashlib.blake2b(book, digest_size=16).hexdigest()
