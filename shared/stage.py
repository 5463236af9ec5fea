"""What the runtime needs of a stage: one verb, how far it is, and what it counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from shared.log import Record, TopicPartition
from shared.measures import Measure


class Stage(Protocol):
    """One service's loop body over its ports; the same object runs on Kafka, in tests and in `backtest`."""

    name: str

    def step(self, timeout: float) -> bool:
        """Read what is there (waiting at most `timeout` seconds), decide, apply. Return whether anything was done."""
        ...

    def measures(self) -> Iterable[Measure]:
        """Return what is counted so far, between two steps: the same names at each call, known labels from 0 on."""
        ...

    def halted(self) -> Mapping[TopicPartition, str]:
        """Return why logs are not read until someone has looked, between two steps; usually none are."""
        ...

    def rebuilding(self) -> str:
        """Return what of its state is made anew and how far, between two steps; usually nothing is: empty."""
        ...

    def close(self) -> None:
        """Finish what is acknowledged, leave the rest; idempotent."""
        ...


class RecordStage(Protocol):
    """A service that is fed one record at a time: by Faust, or by `shared.feed.Feed` where there is no Faust.

    All calls come from one thread. `handle` returns when the record's effects are safe: returning acknowledges it.
    """

    name: str
    topic: str  # what it is fed with

    def assigned(self, partitions: frozenset[int]) -> None:
        """Own exactly these partitions from now on; forget everything and read it again."""
        ...

    def handle(self, record: Record) -> None:
        """Take one record; a record of a partition that is not ours, or taken before, changes nothing."""
        ...

    def tick(self) -> bool:
        """Do at most one piece of work that waits for no record. Return whether there was any."""
        ...

    def measures(self) -> Iterable[Measure]:
        """Return what is counted so far, between two calls: the same names at each call, known labels from 0 on."""
        ...

    def close(self) -> None:
        """Finish what is acknowledged, leave the rest; idempotent."""
        ...
