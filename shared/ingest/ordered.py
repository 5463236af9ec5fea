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

from collections.abc import Mapping

from shared.errors import Malformed
from shared.events.block import LOG_TS_SPAN_MS, BlockKind
from shared.events.dead_letter import dead_letter
from shared.ingest.gathering import OpenBlock, sealed
from shared.ingest.intake import Admitted, Intake, Refused
from shared.ingest.models import Counts
from shared.log import Record, Records, TopicPartition, Writer
from shared.topics import Topics

SERVICE = "backtest"
_Key = tuple[BlockKind, str, str, int]  # kind, model, version, partition


class OrderedIngest:
    """Both consumers as one flow over one merged input; everything is sent to `writer`, nothing is committed.

    `intakes`: one per kind (`BlockKind.PREDICTION`, `BlockKind.LABEL`), as the services make them.
    """

    def __init__(self, intakes: Mapping[BlockKind, Intake], writer: Writer, topics: Topics) -> None:
        self._intakes = intakes
        self._writer = writer
        self._topics = topics
        self._open: dict[_Key, OpenBlock] = {}
        self._labelled: set[bytes] = set()  # ids in the open blocks of labels
        self._versions: dict[str, str] = {}  # of the open block of predictions of each model
        self._ends_ms: int | None = None

    def counts(self, kind: BlockKind) -> Counts:
        """Return per (model, code) how often it was seen among the events of one kind: see `Intake`."""
        return self._intakes[kind].counts

    def feed(self, kind: BlockKind, payload: bytes, ts_ms: int, offset: int) -> None:
        """Take the next event of the merged input: a row, or a dead letter.

        `ts_ms`: the event's log time, never smaller than the one before (of an event that cannot be read: that one).
        `offset`: its place in its own file.
        """
        records = Records(TopicPartition(self._topic(kind), 0), [offset], [ts_ms], [payload])
        (admitted,) = self._intakes[kind].admit(records, stale_at_ms=None)
        if isinstance(admitted, Refused):
            self._refuse(kind, admitted.record, admitted.malformed)
            return
        if self._ends_window(kind, admitted):
            self.flush()
        self._add(kind, admitted)

    def flush(self) -> None:
        """Send every open block; call it after the last event."""
        for wanted in (BlockKind.PREDICTION, BlockKind.LABEL):
            for (kind, *_), block in self._open.items():
                if kind is wanted:
                    self._send(kind, block)
        self._open.clear()
        self._labelled.clear()
        self._versions.clear()
        self._ends_ms = None

    def _send(self, kind: BlockKind, block: OpenBlock) -> None:
        for message, _, _ in sealed(kind, self._topics, block, log_time=True):
            self._writer.send(message)

    def _ends_window(self, kind: BlockKind, admitted: Admitted) -> bool:
        identity, (log_time,) = admitted.rows.identities, admitted.rows.log_ts_ms
        if self._ends_ms is not None and log_time >= self._ends_ms:
            return True
        if kind is BlockKind.LABEL:
            return False
        return identity in self._labelled or self._switches_version(admitted)

    def _switches_version(self, admitted: Admitted) -> bool:
        return self._versions.get(admitted.model.name, admitted.model_version) != admitted.model_version

    def _add(self, kind: BlockKind, admitted: Admitted) -> None:
        rows, model = admitted.rows, admitted.model
        if self._ends_ms is None:
            self._ends_ms = (int(rows.log_ts_ms[0]) // LOG_TS_SPAN_MS + 1) * LOG_TS_SPAN_MS
        key = (kind, model.name, admitted.model_version, admitted.partition)
        block = self._open.get(key)
        if block is None:
            block = self._open[key] = OpenBlock(model, admitted.model_version, admitted.partition, 0.0)
        block.add(rows)
        if kind is BlockKind.LABEL:
            self._labelled.add(rows.identities)
        else:
            self._versions[model.name] = admitted.model_version
        if block.is_full:
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
