"""What the runtime needs of a stage: one verb, and how far it is."""

from __future__ import annotations

from typing import Protocol


class Stage(Protocol):
    """One service's loop body over its ports; the same object runs on Kafka, in tests and in `backtest`."""

    name: str

    def step(self, timeout: float) -> bool:
        """Read what is there (waiting at most `timeout` seconds), decide, apply. Return whether anything was done."""
        ...

    def close(self) -> None:
        """Finish what is acknowledged, leave the rest; idempotent."""
        ...
