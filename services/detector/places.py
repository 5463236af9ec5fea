"""Where rows of a model stand in its traffic: by row, the time and Kafka coordinates of its prediction."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa

from services.detector.figures import Ring
from services.detector.signals.columns import Codes, translated
from services.detector.structs import IntArray
from shared.events.alert import Place
from shared.events.block import MAX_ROWS, SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, TS
from shared.values import format_ts

REACH = 4_096
KEPT = REACH + MAX_ROWS  # so that at any row of a block the `REACH` rows before it are known, wherever the block ends
STEP = 1_024
MARKS = 1_024  # rows known beyond the reach; twice as far apart whenever there are more


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Coordinates of one row; `topic` as `Places.topic_code` numbers it."""

    ts: int
    topic: int
    partition: int
    offset: int


class Places(msgspec.Struct):
    """The coordinates of the last rows, `REACH` of them at least, and of every so many of all rows."""

    rows: int = 0  # rows seen so far
    ts: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int64))
    partition: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int32))
    offset: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int64))
    topic: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int16))
    topics: list[str] = []
    marks: dict[int, Mark] = {}  # by row, ascending

    def rings(self) -> dict[str, Ring]:
        """Return how full the memories are; marks are thinned out, none is dropped for good."""
        kept = min(self.rows, KEPT)
        return {"places": Ring(kept, KEPT, self.rows - kept), "place_marks": Ring(len(self.marks), MARKS, 0)}

    def take(self, batch: pa.RecordBatch) -> None:
        """Take the rows of a served block."""
        self.append(
            batch.column(TS).to_numpy(zero_copy_only=False),
            translated(batch.column(SRC_TOPIC), self.topic_code, missing=0),
            batch.column(SRC_PARTITION).to_numpy(zero_copy_only=False),
            batch.column(SRC_OFFSET).to_numpy(zero_copy_only=False),
        )

    def append(self, ts: IntArray, topics: Codes, partition: IntArray, offset: IntArray) -> None:
        """Take the next rows, in order, at most `MAX_ROWS`; `topics` as `topic_code` numbers them."""
        first, self.rows = self.rows, self.rows + len(ts)
        at = np.arange(first, self.rows) % KEPT
        self.ts[at], self.topic[at], self.partition[at], self.offset[at] = ts, topics, partition, offset
        step = _step(max(self.rows - MAX_ROWS, 0))  # no coarser than the oldest row of a block asks for
        for row in range(-(-first // step) * step, self.rows, step):
            self.marks[row] = self._mark(row)
        if len(self.marks) > MARKS:
            self.marks = {row: mark for row, mark in self.marks.items() if row % step == 0}

    def topic_code(self, name: str) -> int:
        """Return the number of a topic."""
        if name not in self.topics:
            self.topics.append(name)
        return self.topics.index(name)

    def at(self, row: int, newest: int) -> Place:
        """Return where `row` (0-based) stands, seen from the row `newest` of the block appended last.

        The coordinates of a row `REACH` or more before `newest` are those of a row before it, from which it is found
        by reading on.
        """
        if newest - row < REACH:
            mark = self._mark(row)
        else:
            step = _step(newest)
            mark = self.marks[row // step * step]
        return Place(
            row=row,
            ts=format_ts(mark.ts),
            topic=self.topics[mark.topic],
            partition=mark.partition,
            offset=mark.offset,
        )

    def _mark(self, row: int) -> Mark:
        i = row % KEPT
        return Mark(int(self.ts[i]), int(self.topic[i]), int(self.partition[i]), int(self.offset[i]))


def _step(newest: int) -> int:
    """Return how far apart the known rows are, seen from the row `newest`."""
    step = STEP
    while newest >= step * MARKS:
        step *= 2
    return step
