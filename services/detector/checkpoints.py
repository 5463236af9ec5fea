"""The port to checkpoints: position and state of one observations partition, moved together."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Checkpoint(NamedTuple):
    """State after folding everything below `position`."""

    position: int
    state: bytes


class Checkpoints(Protocol):
    """Keeps the newest checkpoint of each partition.

    Raises: Unavailable when the store does not answer.
    """

    def get(self, partition: int) -> Checkpoint | None:
        """Return the newest checkpoint.

        Raises:
            Corrupt: what is kept has no position.
        """
        ...

    def put_if_newer(self, partition: int, checkpoint: Checkpoint) -> bool:
        """Keep `checkpoint` unless a newer one is there; every checkpoint of a fold is right, so this is manners."""
        ...
