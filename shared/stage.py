"""What the runtime needs of a stage: one verb, and how far it is."""

from __future__ import annotations

from typing import Protocol

from shared.log import Record


class Stage(Protocol):
    """One service's loop body over its ports; the same object runs on Kafka, in tests and in `backtest`."""

    name: str

    def step(self, timeout: float) -> bool:
        """Read what is there (waiting at most `timeout` seconds), decide, apply. Return whether anything was done."""
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

    def close(self) -> None:
        """Finish what is acknowledged, leave the rest; idempotent."""
        ...
