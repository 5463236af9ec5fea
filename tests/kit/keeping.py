"""Checkpoints as tests see them: what a place keeps, opened."""

from __future__ import annotations

from services.detector.checkpoints import Checkpoint, Checkpoints
from services.detector.keeping import Keeping, Place
from services.detector.sealing import Seal
from shared.adapters.memory import ManualClock
from shared.clock import Clock

SEAL = Seal("test")


def keeping(*places: Checkpoints, clock: Clock | None = None) -> Keeping:
    """Return what keeps checkpoints in all of these places, whenever one is saved."""
    return Keeping([Place(place) for place in places], SEAL, clock or ManualClock())


def kept(place: Checkpoints, partition: int) -> Checkpoint | None:
    """Return the newest checkpoint that is whole."""
    checkpoint, _ = keeping(place).newest(partition)
    return checkpoint


def put(place: Checkpoints, partition: int, checkpoint: Checkpoint) -> bool:
    """Seal a checkpoint and put it there."""
    return place.put_if_newer(partition, checkpoint.position, SEAL.close(partition, checkpoint))
