"""How often each output was written, and how often that may be.

A joiner that takes a shard up writes the outputs of the records from where it begins: the position of the view; where
there is none, what its group says is acknowledged, so that a Redis that lost everything does not bring all observations
again. Below that, only who began there may have written. So an output is written at most as often as a joiner began at
its record or before it, whatever was killed, stood still, or was lost meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from services.joiner.mark import Mark
from services.joiner.view import Snapshot
from shared.log import Record


class Copies:
    """What joiners wrote, and from where on they did."""

    def __init__(self) -> None:
        self._written: Counter[tuple[int, int]] = Counter()  # by shard and sequence number
        self._begins: dict[int, Counter[int]] = {}  # by shard: how often a joiner began at an offset of its halves
        self.spared = 0  # outputs below a begin that an empty view would have brought again

    @property
    def written(self) -> int:
        """Return how many outputs were written, each time counted."""
        return self._written.total()

    @property
    def again(self) -> int:
        """Return how many of these were copies."""
        return self.written - len(self._written)

    def write(self, record: Record) -> None:
        """Take an output that is written."""
        headers = dict(record.headers)
        self._written[int(headers["shard"]), int(headers["seq"])] += 1

    def take_up(self, shard: int, found: Snapshot, acknowledged: int) -> None:
        """Take what a joiner finds of a shard. acknowledged: what the group was told last."""
        begin = found.position or 0
        if found.position is not None:
            begin = max(begin, Mark.unpack(found.mark).quiet_below)
        elif not found.aloud:
            begin = acknowledged
            self.spared += sum(one == shard and seq >> 16 < begin for one, seq in self._written)
        self._begins.setdefault(shard, Counter())[begin] += 1

    def too_many(self) -> Iterator[tuple[int, int, int]]:
        """Yield shard, sequence number and times of what was written too often."""
        for (shard, seq), times in sorted(self._written.items()):
            if times > sum(often for begin, often in self._begins[shard].items() if begin <= seq >> 16):
                yield shard, seq, times
