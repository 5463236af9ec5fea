"""The detector's loop: read, fold, write, wait for the acknowledgements, then checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from services.detector.account import Account
from services.detector.alert_log import AlertLog
from services.detector.keeping import Keeping
from services.detector.partition import Definitions, FoldOptions, PartitionFold
from services.detector.report import NoSink, Sink
from shared.bookmarks import Bookmark, Bookmarks
from shared.clock import Clock
from shared.errors import Corrupt, DriftlineError, LogIdentity
from shared.failpoints import Failpoints
from shared.log import Reader, Record, TopicPartition, Writer
from shared.measures import Measure
from shared.shares import Shares
from shared.topics import Topics

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StageOptions:
    """How the loop runs; nothing here influences an output."""

    batch_records: int = 64
    checkpoint_seconds: float = 2.0


class DetectorStage:
    """Folds its partitions of `driftline.observations`. Position and state move together, after the outputs."""

    name = "detector"

    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        alerts: AlertLog,
        keeping: Keeping,
        definitions: Definitions,
        clock: Clock,
        topics: Topics,
        fold: FoldOptions,
        shares: Shares,
        options: StageOptions,
        *,
        failpoints: Failpoints | None = None,
        sink: Sink | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._alerts = alerts
        self._keeping = keeping
        self._clock = clock
        self._topics = topics
        self._shares = shares
        self._options = options
        self._failpoints = failpoints or Failpoints()
        self._definitions, self._fold_options, self._sink = definitions, fold, sink or NoSink()
        self.folds: dict[int, PartitionFold] = {}
        self.positions: dict[int, int] = {}
        self._bookmarks = Bookmarks(reader, clock, "checkpoint", _advice)
        self._marks: dict[int, Bookmark] = {}  # of `positions` that were taken up or saved
        self._last: dict[int, Record] = {}  # the records before `positions`, of those that moved since
        self._losses: dict[int, int] = {}  # partitions with a loss, and up to where copies of what is lost are awaited
        self._saved: dict[int, int] = {}
        self._saved_at = clock.monotonic()
        self._account = Account(
            Counter(dict.fromkeys((topics.alerts, topics.incidents, topics.profiles), 0)), keeping, alerts
        )

    def step(self, timeout: float) -> bool:
        """Fold what is there; checkpoint now and then."""
        held = self._shares.held()
        try:
            if held != self.positions.keys():
                self._take(held)
            if self._bookmarks.are_due():
                self._look_again()
            return self._fold(timeout)
        except DriftlineError:
            # What is folded may be ahead of what is acknowledged: the next step starts from the checkpoint.
            self.positions = {}
            raise

    def _fold(self, timeout: float) -> bool:
        records = self._reader.poll(self._options.batch_records, timeout)
        if records:
            self._account.flow.took(len(records), records[-1].timestamp_ms)
        records = self._bookmarks.unread(records)
        for record in records:
            for number, message in enumerate(self.folds[record.partition].fold(record)):
                self._failpoints.hit("detector.emit")
                if message.topic != self._topics.alerts:
                    self._writer.send(message)
                elif not self._alerts.say(record, number, message):
                    continue
                self._account.records_out[message.topic] += 1
            self.positions[record.partition] = record.offset + 1
            self._last[record.partition] = record
        self._stop_at_losses()
        if self._alerts.is_pending:
            self._failpoints.hit("detector.before_commit")
            self._alerts.commit()
            self._failpoints.hit("detector.after_commit")
        self._writer.poll()
        due = self._clock.monotonic() - self._saved_at >= self._options.checkpoint_seconds
        if due and self.positions != self._saved:
            self.checkpoint()
        return bool(records)

    def measures(self) -> Iterable[Measure]:
        """Return what was counted and how full everything is."""
        yield from self._account.measures(
            self._by_source(self.folds),
            self._by_source(self._saved),
            self._reader.lag(),
            self._fold_options.outputs.told,
        )
        yield from self._definitions.measures()

    def checkpoint(self, *, is_last: bool = False) -> None:
        """Save every partition that moved, once everything it gave is acknowledged; the last time in every place."""
        self._writer.flush()
        self._failpoints.hit("detector.before_checkpoint")
        for partition, position in self.positions.items():
            record = self._last.pop(partition, None)
            if record is not None:
                self._marks[partition] = self._bookmarks.of(record)
            if partition in self._marks:
                fold, bookmark = self.folds[partition], self._marks[partition]
                self._keeping.save(partition, position, bookmark, fold.snapshot, is_last=is_last)
            self._failpoints.hit("detector.after_checkpoint")
        self._saved = dict(self.positions)
        self._saved_at = self._clock.monotonic()

    def _stop_at_losses(self) -> None:
        """Stop where outputs are missing, unless the log, as long as it was when that was seen, has them further on."""
        for partition, fold in self.folds.items():
            if fold.loss is None:
                self._losses.pop(partition, None)
                continue
            source = self._source(partition)
            if partition not in self._losses:
                self._losses[partition] = self._reader.bounds(source).high
            if self.positions[partition] >= self._losses[partition]:
                raise LogIdentity(f"{source.topic}-{partition}: {fold.loss}")

    def _take(self, held: frozenset[int]) -> None:
        """Checkpoint and leave what is no longer ours, and take up what is not in hand: all of it after an error."""
        if self.positions:
            self.checkpoint()
        for partition in self.folds.keys() - held:
            self._leave(partition)
        starts = {
            partition: self._again(partition) if partition in self.positions else self._take_up(partition)
            for partition in sorted(held)
        }
        self._reader.assign(self._by_source(starts))
        self._saved = dict(self.positions)

    def _leave(self, partition: int) -> None:
        """Forget a partition: whoever has it goes on from its checkpoint."""
        for known in (self.folds, self.positions, self._marks, self._last, self._losses):
            known.pop(partition, None)
        self._alerts.leave(partition)
        self._keeping.leave(partition)

    def _take_up(self, partition: int) -> int:
        """Go to the newest checkpoint, or else where the log begins; return where to read on."""
        fold = PartitionFold(partition, self._definitions, self._fold_options, self._sink)
        for known in (self._losses, self._marks, self._last):
            known.pop(partition, None)
        source = self._source(partition)
        self._alerts.open(partition)
        checkpoint, problem = self._keeping.newest(partition)  # before the bounds: another may be ahead of them
        low = self._reader.bounds(source).low
        fold.is_whole = low == 0
        if checkpoint is None:
            if problem is not None and low > 0:
                raise Corrupt(f"{problem}; no other is left, and the log begins at {low}: see Operate in the docs")
            position = start = self._bookmarks.begin(source)
        else:
            position, self._marks[partition] = checkpoint.position, checkpoint.bookmark
            start = self._bookmarks.take_up(source, checkpoint.position, checkpoint.bookmark)
            fold.restore(checkpoint.state)
        self.folds[partition], self.positions[partition] = fold, position
        return start

    def _again(self, partition: int) -> int:
        """Compare a log with what was read of it last; return where to read on, so that what is folded stays."""
        source, bookmark = self._source(partition), self._marks.get(partition)
        if bookmark is None:
            self._bookmarks.begin(source)  # nothing was read that could be compared
            return self.positions[partition]
        return self._bookmarks.take_up(source, self.positions[partition], bookmark)

    def _look_again(self) -> None:
        self.checkpoint()
        for partition in self.positions:
            self._reader.seek(self._source(partition), self._again(partition))

    def halted(self) -> Mapping[TopicPartition, str]:
        """Return nothing: no log is halted by itself."""
        return {}

    def rebuilding(self) -> str:
        """Return nothing: a detector reads on from its checkpoint."""
        return ""

    def close(self) -> None:
        """Save what is folded and leave."""
        if self.positions:
            self.checkpoint(is_last=True)
        self._alerts.close()
        self._shares.close()
        self._writer.close()
        self._reader.close()

    def _source(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topics.observations, partition)

    def _by_source(self, numbered: Mapping[int, T]) -> dict[TopicPartition, T]:
        return {self._source(partition): value for partition, value in numbered.items()}


def _advice(source: TopicPartition) -> str:
    return f"`driftline repair observations --checkpoint {source.partition}` lets the detector begin anew"
