"""Where the last rows of a model stand: row number to time and Kafka coordinates, for `onset` and `detected`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from services.detector.structs import IntArray
from shared.events.alert import Place
from shared.values import format_ts

KEPT = 4_096


class Places(msgspec.Struct):
    """The coordinates of the last `KEPT` rows. An older row is answered with the oldest that is known."""

    rows: int = 0  # rows seen so far
    ts: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int64))
    partition: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int32))
    offset: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int64))
    topic: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int16))
    topics: list[str] = []

    def append(self, ts: IntArray, topics: Sequence[str], partition: IntArray, offset: IntArray) -> None:
        """Take the next rows, in order."""
        at = np.arange(self.rows, self.rows + len(ts)) % KEPT
        self.ts[at], self.partition[at], self.offset[at] = ts, partition, offset
        for name in dict.fromkeys(topics):
            if name not in self.topics:
                self.topics.append(name)
        codes = {name: code for code, name in enumerate(self.topics)}
        self.topic[at] = [codes[name] for name in topics]
        self.rows += len(ts)

    def known(self, row: int) -> int:
        """Return the row nearest to `row` whose coordinates are kept."""
        return min(max(row, self.rows - KEPT, 0), max(self.rows - 1, 0))

    def at(self, row: int) -> Place:
        """Return where `row` (0-based, or the nearest that is known) stands.

        Raises:
            IndexError: no row has been seen.
        """
        if self.rows == 0:
            raise IndexError("no rows yet")
        row = self.known(row)
        i = row % KEPT
        return Place(
            row=row,
            ts=format_ts(int(self.ts[i])),
            topic=self.topics[int(self.topic[i])],
            partition=int(self.partition[i]),
            offset=int(self.offset[i]),
        )
