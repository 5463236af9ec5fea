"""Where a fold is right that could not begin at the beginning of its log."""

from __future__ import annotations

from services.cli.verify.report import Evidence
from services.joiner.columns import identities
from shared.events.block import Block
from shared.log import Record

TOO_SHORT = "the halves that are kept span less than one label horizon"


class Beginning:
    """From where on a fold is right that could not begin at the beginning.

    What was kept of a request before the log that is left expires within one horizon. A request that is seen in that
    time may have been known before, so that its next records are judged otherwise: where it has a part in a difference,
    nothing is said.
    """

    def __init__(self, low: int) -> None:
        self.is_whole = low == 0
        self._start = low if self.is_whole else None  # the first record whose outputs are compared
        self._first_time: int | None = None
        self._doubted: set[bytes] = set()

    @property
    def is_past(self) -> bool:
        """Tell whether the fold is right where it is now."""
        return self._start is not None

    def is_over(self, record: Record, block: Block, log_time: int, horizon_ms: int) -> bool:
        """Take a record; tell whether its outputs can be compared."""
        if self._start is not None:
            return True
        if self._first_time is None:
            self._first_time = log_time
        if log_time - self._first_time > horizon_ms:
            self._start = record.offset
            return True
        self._doubted.update(_ids(block))
        return False

    def doubts_id(self, identity: bytes) -> bool:
        """Tell whether a request may have been known before."""
        return identity in self._doubted

    def doubts(self, block: Block) -> bool:
        """Tell whether a difference of this block's outputs may be due to what is gone; its requests are then, too."""
        if self._doubted.isdisjoint(_ids(block)):
            return False
        self._doubted.update(_ids(block))
        return True

    def conclude(self, observations: Evidence, joins: Evidence) -> None:
        """Say from where on the proof is."""
        for evidence in (observations, joins):
            if self._start is None:
                evidence.cannot_decide(TOO_SHORT)
                evidence.end = evidence.start
            else:
                evidence.leaves_out(f"the first label horizon of what is kept, offsets {evidence.start}..{self._start}")
                evidence.start = self._start


def _ids(block: Block) -> list[bytes]:
    return [] if block.batch is None else identities(block.batch)
