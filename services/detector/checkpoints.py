"""The port to places that keep checkpoints: position and state of one observations partition, moved together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from shared.bookmarks import NOWHERE, Bookmark


class Checkpoint(NamedTuple):
    """State after folding everything below `position` of the log that `bookmark` names."""

    position: int
    state: bytes
    bookmark: Bookmark = NOWHERE


class Candidate(NamedTuple):
    """A sealed checkpoint that a place holds; `read` raises Corrupt where it is not whole."""

    position: int  # -1 where that does not read either
    read: Callable[[], bytes]


class Checkpoints(Protocol):
    """Keeps the newest sealed checkpoint of each partition, and maybe the one before.

    Raises: Unavailable when the place does not answer.
    """

    name: str  # of the place, for metrics and logs

    def candidates(self, partition: int) -> Sequence[Candidate]:
        """Return what is kept, newest first."""
        ...

    def put_if_newer(self, partition: int, position: int, sealed: bytes, over: int | None = None) -> bool:
        """Keep `sealed` unless a newer one is there; every checkpoint of a fold is right, so this is manners.

        over: the position of one that is not whole, and so may be replaced whatever its position is.
        """
        ...

    def drop(self, partition: int) -> None:
        """Forget a partition, so that its fold begins anew."""
        ...
