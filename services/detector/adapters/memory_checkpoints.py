"""Checkpoints in memory, for `backtest` and tests."""

from __future__ import annotations

from services.detector.checkpoints import Checkpoint


class MemoryCheckpoints:
    """Keeps checkpoints as long as the object lives."""

    def __init__(self) -> None:
        self.kept: dict[int, Checkpoint] = {}

    def get(self, partition: int) -> Checkpoint | None:
        """Return the newest checkpoint."""
        return self.kept.get(partition)

    def put_if_newer(self, partition: int, checkpoint: Checkpoint) -> bool:
        """Keep `checkpoint` unless a newer one is there."""
        kept = self.kept.get(partition)
        if kept is not None and kept.position > checkpoint.position:
            return False
        self.kept[partition] = checkpoint
        return True
