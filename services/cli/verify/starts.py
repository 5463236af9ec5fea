"""Where the fold of a log of observations begins: at its beginning, or at a checkpoint, which is believed then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from services.detector.checkpoint_history import LoggedCheckpoint
from services.detector.checkpoints import Checkpoint
from shared.errors import Corrupt
from shared.log import Bounds

NEWEST = 1 << 62  # as the time before which a checkpoint is to be written, ms: any will do


@dataclass(frozen=True, slots=True)
class DetectorReach:
    """From where and up to where one partition is compared."""

    partition: int
    earlier: Checkpoint | None  # from which the fold may begin where the log has lost its beginning
    checkpoint: Checkpoint | None  # what follows from below is written
    logged: Sequence[LoggedCheckpoint]  # those in the topic
    topic_id: str  # of the observations
    observations: Bounds  # asked for after the ends of the alerts
    before_ms: int | None  # someone asks for the newest logged checkpoint that was written by then


class Start(NamedTuple):
    """Where a fold begins; without a checkpoint where its log begins."""

    checkpoint: Checkpoint | None = None
    because: str = ""


def start_of(reach: DetectorReach) -> Start | None:
    """Return where to begin; None where the log has lost its beginning, and no checkpoint goes on from what is left.

    Raises:
        Newer: the checkpoint is of a later release.
        ConfigurationError: it is encrypted with another key.
    """
    low, high = reach.observations
    usable = sorted((one for one in reach.logged if low <= one.position <= high), key=lambda one: one.position)
    if reach.before_ms is not None:
        asked = [one for one in reversed(usable) if one.written_ms <= reach.before_ms]
        for checkpoint in _whole(asked, reach.topic_id):
            return Start(checkpoint, "it was asked for")
    if low == 0:
        return Start()
    kept = [] if reach.earlier is None or reach.earlier.position < low else [reach.earlier]
    kept += islice(_whole(usable, reach.topic_id), 1)
    oldest = min(kept, key=lambda one: one.position, default=None)
    return None if oldest is None else Start(oldest, "the log has lost its beginning")


def _whole(logged: Sequence[LoggedCheckpoint], topic_id: str) -> Iterator[Checkpoint]:
    """Yield those that read, and are of this very log."""
    for one in logged:
        try:
            checkpoint = one.read()
        except Corrupt:
            continue  # replaced meanwhile; or broken, which the comparison with the fold tells
        if checkpoint.bookmark.topic_id == topic_id:
            yield checkpoint
