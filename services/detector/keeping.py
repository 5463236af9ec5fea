"""Checkpoints in more than one place: which is saved when, and which is the one to go on from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from services.detector.checkpoints import Candidate, Checkpoint, Checkpoints
from services.detector.sealing import Seal
from shared.bookmarks import Bookmark
from shared.clock import Clock
from shared.errors import Corrupt

LOG = structlog.get_logger("detector")


class Place(NamedTuple):
    """Where checkpoints are kept, and after how many seconds the next one is due there."""

    checkpoints: Checkpoints
    every_seconds: float = 0.0


class Copy(NamedTuple):
    """A checkpoint as it was saved."""

    position: int
    size: int
    saved_ms: int


class Keeping:
    """Saves a sealed checkpoint in every place where one is due; the newest that is whole counts, wherever it is."""

    def __init__(self, places: Sequence[Place], seal: Seal, clock: Clock) -> None:
        self.copies: dict[tuple[int, str], Copy] = {}  # by partition and place, since the process started
        self.saved = 0
        self.passed_over: Counter[str] = Counter({place.checkpoints.name: 0 for place in places})
        self._places = places
        self._seal = seal
        self._clock = clock
        self._saved_at: dict[tuple[int, str], float] = {}
        self._positions: dict[tuple[int, str], int] = {}  # of the newest checkpoint that is known to be there
        self._broken: dict[tuple[int, str], int] = {}  # and of one that was passed over there

    def newest(self, partition: int) -> tuple[Checkpoint | None, Corrupt | None]:
        """Return the checkpoint to go on from, and why newer ones, if there are any, are not.

        Raises:
            Unavailable: a place does not answer.
            Newer: the newest one is of a later release.
            ConfigurationError: it is encrypted with another key.
        """
        problem: Corrupt | None = None
        for name, candidate in self._candidates(partition):
            try:
                checkpoint = self._seal.open(partition, candidate.read())
            except Corrupt as exc:
                problem = Corrupt(f"the checkpoint of partition {partition} in {name} at {candidate.position}: {exc}")
                self.passed_over[name] += 1
                self._broken.setdefault((partition, name), candidate.position)
                LOG.warning("checkpoint_passed_over", partition=partition, place=name, error=str(problem))
            else:
                self._positions[partition, name] = checkpoint.position
                return checkpoint, problem
        return None, problem

    def save(
        self, partition: int, position: int, bookmark: Bookmark, state: Callable[[], bytes], *, is_last: bool = False
    ) -> None:
        """Save a checkpoint where one is due; the last one is due wherever it is not yet."""
        due = [place for place in self._places if is_last or self._is_due(partition, place)]
        due = [place for place in due if self._positions.get((partition, place.checkpoints.name)) != position]
        if not due:
            return
        sealed = self._seal.close(partition, Checkpoint(position, state(), bookmark))
        for place in due:
            at = partition, place.checkpoints.name
            place.checkpoints.put_if_newer(partition, position, sealed, self._broken.pop(at, None))
            self.copies[at] = Copy(position, len(sealed), self._clock.now_ms())
            self._saved_at[at], self._positions[at] = self._clock.monotonic(), position
            self.saved += 1

    def leave(self, partition: int) -> None:
        """Show nothing of a partition that others have now."""
        self.copies = {at: copy for at, copy in self.copies.items() if at[0] != partition}

    def drop(self, partition: int) -> None:
        """Forget a partition everywhere."""
        for place in self._places:
            place.checkpoints.drop(partition)

    def _candidates(self, partition: int) -> list[tuple[str, Candidate]]:
        found = [
            (place.checkpoints.name, candidate)
            for place in self._places
            for candidate in place.checkpoints.candidates(partition)
        ]
        for place in self._places:
            at = partition, place.checkpoints.name
            self._saved_at[at] = self._clock.monotonic()
            self._positions.pop(at, None)
            self._broken.pop(at, None)
        return sorted(found, key=lambda one: -one[1].position)

    def _is_due(self, partition: int, place: Place) -> bool:
        since = self._saved_at.get((partition, place.checkpoints.name))
        return since is None or self._clock.monotonic() - since >= place.every_seconds
