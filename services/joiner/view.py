"""The port to the view: one shard's entries, meta and words, kept together with the position they are the fold of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A shard without its entries. `position` is the next offset to fold; None: nothing was ever folded here."""

    position: int | None
    meta: bytes = b""
    words: bytes = b""
    mark: bytes = b""
    aloud: bool = False  # it was dropped so that all its outputs are written again
    intact: bool = True  # False: entries were evicted or removed by someone else; only a rebuild helps


@dataclass(frozen=True, slots=True)
class Reading:
    """The meta and those of the wanted entries that exist, all of one moment."""

    meta: bytes = b""
    entries: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What one batch did to a shard. `words` is None where none were added; `mark` says of which log it was made.

    `rotate`: the older generation of entries is dropped and the current one becomes the older, before `entries` are
    written to a new one. `erased`: ids whose entry replaces what the older generation has of them.
    """

    position: int
    meta: bytes
    words: bytes | None
    rotate: bool
    entries: dict[bytes, bytes]
    erased: tuple[bytes, ...] = ()
    mark: bytes = b""


class View(Protocol):
    """Keeps shards. It may go back in time or lose everything; it never mixes two moments.

    Every method raises Unavailable when the store is away; after that from `advance` the change may have been made.
    """

    def load(self, shard: int) -> Snapshot:
        """Return where a shard stands."""
        ...

    def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
        """Return entries and meta in one atomic look; None when the shard is not at `position` or not intact."""
        ...

    def advance(self, shard: int, position: int | None, change: Change) -> bool:
        """Apply `change` whole if the shard is at `position` and intact, else nothing; return whether it was."""
        ...

    def drop(self, shard: int, *, aloud: bool = False) -> None:
        """Forget a shard, so that it is rebuilt from its log; `aloud`: with all its outputs written again."""
        ...

    def find(self, shard: int, identity: bytes) -> bytes | None:
        """Return one entry, of the newer generation where both have it."""
        ...

    def scan(self, shard: int) -> Iterator[list[bytes]]:
        """Yield the ids that are kept, some at a time: those that are there all the while at least once."""
        ...

    def close(self) -> None:
        """Leave; idempotent."""
        ...
