"""Ingest of files that are merged by time: what a backtest feeds, written in an order that the join cannot tell apart.

The log time of a row is the time it is fed with, and stands in the block's column `log_ts`, since a block spans more
than one instant. Written strictly in order, a block would end wherever predictions and labels take turns, often after
one row. So blocks of both kinds stay open side by side in a *window*; when it ends, its predictions are written before
its labels, blocks of one kind in order of their first rows. It ends

* before a prediction whose id is in an open block of labels: only predictions may go ahead of labels;
* before a prediction of another version of a model that has a block open: a model's Served rows keep the file's order;
* before a row of another day, that is, at or beyond the next multiple of LOG_TS_SPAN_MS;
* after a row that fills a block.

Then the join does not depend on the window: rows of different ids never meet, and those of one id keep their order.
Neither does expiry, because the joiner takes `log_ts` of each row as the time of that row, and keeps what a row that is
LOG_TS_SPAN_MS older may still ask for.
What does depend on the window, and is the same in every run, is how a window's Served rows stand before its Labelled
ones in the detector's fold, and that the timestamps of records advance by up to a day at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.errors import Malformed
from shared.events.block import LOG_TS_SPAN_MS, BlockKind
from shared.events.dead_letter import dead_letter
from shared.identity import ID_BYTES
from shared.ingest.gathering import MAX_WAITING_BYTES, OpenBlock, sealed
from shared.ingest.intake import Admitted, Intake, Refused
from shared.ingest.models import Counts
from shared.ingest.rows import Rows
from shared.log import Record, Records, TopicPartition, Writer
from shared.topics import Topics

SERVICE = "backtest"
_Key = tuple[BlockKind, str, str, int]  # kind, model, version, partition


class Event(NamedTuple):
    """One event of the merged input."""

    kind: BlockKind
    payload: bytes
    ts_ms: int  # its log time, never smaller than of the one before (of an event that cannot be read: that one)
    offset: int  # its place in its own file


class _Row(NamedTuple):
    """One row among those that were admitted together."""

    admitted: Admitted
    place: int
    identity: bytes
    log_ts_ms: int


@dataclass(slots=True, eq=False)
class _Filling:
    """An open block that takes single rows, and copies those that follow each other together."""

    block: OpenBlock
    rows: Rows  # those from `start` to `stop` are still to be copied
    start: int
    stop: int
    payload_bytes: int = 0  # of them

    def take(self, rows: Rows, place: int) -> bool:
        """Take a row; return whether the block is full."""
        if rows is not self.rows or place != self.stop:
            self.settle()
            self.rows, self.start = rows, place
        self.stop = place + 1
        self.payload_bytes += rows.sizes[place]
        return (
            self.block.rows + self.stop - self.start >= self.block.model.codec.max_rows
            or self.block.payload_bytes + self.payload_bytes >= MAX_WAITING_BYTES
        )

    def settle(self) -> None:
        """Put all that was taken into the block."""
        if self.start < self.stop:
            self.block.add(self.rows.part(self.start, self.stop))
        self.start, self.payload_bytes = self.stop, 0


class OrderedIngest:
    """Both consumers as one flow over one merged input; everything is sent to `writer`, nothing is committed.

    `intakes`: one per kind (`BlockKind.PREDICTION`, `BlockKind.LABEL`), as the services make them.
    """

    def __init__(self, intakes: Mapping[BlockKind, Intake], writer: Writer, topics: Topics) -> None:
        self._intakes = intakes
        self._writer = writer
        self._topics = topics
        self._open: dict[_Key, _Filling] = {}
        self._labelled: set[bytes] = set()  # ids in the open blocks of labels
        self._versions: dict[str, str] = {}  # of the open block of predictions of each model
        self._ends_ms: int | None = None

    def counts(self, kind: BlockKind) -> Counts:
        """Return per (model, code) how often it was seen among the events of one kind: see `Intake`."""
        return self._intakes[kind].counts

    def feed(self, events: Sequence[Event]) -> None:
        """Take the next events of the merged input: each is a row, or a dead letter.

        What is written does not depend on how many are fed at once; decoding many together is several times faster.
        """
        outcomes = {
            kind: dict(self._outcomes(kind, [event for event in events if event.kind is kind]))
            for kind in self._intakes
        }
        for event in events:
            outcome = outcomes[event.kind][event.offset]
            if isinstance(outcome, Refused):
                self._refuse(event.kind, outcome.record, outcome.malformed)
                continue
            if self._ends_window(event.kind, outcome):
                self.flush()
            self._add(event.kind, outcome)

    def flush(self) -> None:
        """Send every open block; call it after the last event."""
        for wanted in (BlockKind.PREDICTION, BlockKind.LABEL):
            for (kind, *_), filling in self._open.items():
                if kind is wanted:
                    filling.settle()
                    self._send(kind, filling.block)
        self._open.clear()
        self._labelled.clear()
        self._versions.clear()
        self._ends_ms = None

    def _outcomes(self, kind: BlockKind, events: Sequence[Event]) -> Iterator[tuple[int, _Row | Refused]]:
        """Yield what becomes of the events of one kind, by offset."""
        offsets, times = [event.offset for event in events], [event.ts_ms for event in events]
        records = Records(TopicPartition(self._topic(kind), 0), offsets, times, [event.payload for event in events])
        for outcome in self._intakes[kind].admit(records, stale_at_ms=None):
            if isinstance(outcome, Refused):
                yield outcome.record.offset, outcome
                continue
            rows, log_times = outcome.rows, outcome.rows.log_ts_ms.tolist()
            for place, offset in enumerate(rows.offsets):
                identity = rows.identities[place * ID_BYTES : (place + 1) * ID_BYTES]
                yield offset, _Row(outcome, place, identity, log_times[place])

    def _send(self, kind: BlockKind, block: OpenBlock) -> None:
        for message, _, _ in sealed(kind, self._topics, block, log_time=True):
            self._writer.send(message)

    def _ends_window(self, kind: BlockKind, row: _Row) -> bool:
        if self._ends_ms is not None and row.log_ts_ms >= self._ends_ms:
            return True
        if kind is BlockKind.LABEL:
            return False
        return row.identity in self._labelled or self._switches_version(row.admitted)

    def _switches_version(self, admitted: Admitted) -> bool:
        return self._versions.get(admitted.model.name, admitted.model_version) != admitted.model_version

    def _add(self, kind: BlockKind, row: _Row) -> None:
        admitted = row.admitted
        if self._ends_ms is None:
            self._ends_ms = (row.log_ts_ms // LOG_TS_SPAN_MS + 1) * LOG_TS_SPAN_MS
        key = (kind, admitted.model.name, admitted.model_version, admitted.partition)
        filling = self._open.get(key)
        if filling is None:
            block = OpenBlock(admitted.model, admitted.model_version, admitted.partition, 0.0)
            filling = self._open[key] = _Filling(block, admitted.rows, row.place, row.place)
        if kind is BlockKind.LABEL:
            self._labelled.add(row.identity)
        else:
            self._versions[admitted.model.name] = admitted.model_version
        if filling.take(admitted.rows, row.place):
            self.flush()

    def _refuse(self, kind: BlockKind, record: Record, malformed: Malformed) -> None:
        letter = dead_letter(
            self._topics,
            record,
            service=SERVICE,
            reason=malformed.reason,
            detail=malformed.detail,
            model=self._intakes[kind].refused(record, malformed),
        )
        self._writer.send(letter)

    def _topic(self, kind: BlockKind) -> str:
        return self._topics.predictions if kind is BlockKind.PREDICTION else self._topics.ground_truth
