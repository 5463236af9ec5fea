"""The loop of both ingest services: poll, admit, gather, send, and commit what is acknowledged.

Nothing waits for an acknowledgement but the commit. A crash anywhere repeats rows, which the joiner drops.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec
import structlog

from shared.clock import Clock
from shared.errors import Malformed
from shared.events.block import Block, BlockKind, encode
from shared.events.dead_letter import dead_letter
from shared.events.halt import Halt
from shared.failpoints import Failpoints
from shared.flow import Flow, positions
from shared.ingest.announcing import Announcing
from shared.ingest.gathering import Gathering, OpenBlock, sealed
from shared.ingest.intake import Admitted, Intake, Refused
from shared.ingest.intake_measures import intake_measures
from shared.ingest.limit import Halts
from shared.ingest.models import Counts
from shared.ingest.offsets import OffsetTracker, SourceOffsets
from shared.ingest.options import IngestOptions
from shared.ingest.ticks import Ticks
from shared.log import GroupReader, Outgoing, Record, TopicPartition, Writer
from shared.measures import Measure, bounded, number
from shared.topics import MIB, Topics

POLL_RECORDS = 500  # few enough to stay in the processor's cache until they are decoded
COMMIT_SECONDS = 1.0
MAX_ROWS_IN_HAND = 40_000  # read and not acknowledged; past it nothing is read
MAX_BYTES_IN_HAND = 64 * MIB  # in open blocks and unacknowledged records
FULL_SECONDS = 0.005  # how long to wait for acknowledgements before looking again

log = structlog.get_logger("driftline.ingest")


class IngestStage:
    """One consumer of `predictions` or `ground-truth`. `counts` is for display: see `Intake`."""

    def __init__(
        self,
        name: str,
        intake: Intake,
        reader: GroupReader,
        writer: Writer,
        clock: Clock,
        topics: Topics,
        options: IngestOptions,
        *,
        ticks: Ticks | None = None,
        failpoints: Failpoints | None = None,
    ) -> None:
        self.name = name
        self._intake = intake
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._topics = topics
        self._options = options
        self._ticks = ticks
        self._announcing = Announcing(topics, intake.models, clock.monotonic())
        self._failpoints = failpoints or Failpoints()
        self._gathering = Gathering(options.linger_ms)
        self._offsets = OffsetTracker()
        self._halts = Halts(options.limit, intake.models.resumed)
        self._backlog: deque[Admitted | Refused] = deque()  # polled, not taken yet
        self._outbox: deque[tuple[Outgoing, Callable[[int, int], None]]] = deque()  # made, not sent yet
        self._queued_bytes = 0  # made, not acknowledged yet
        self._is_closed = False
        self._committed_at = clock.monotonic()
        self._flow = Flow()
        self._commits = self._ticks_out = 0

    @property
    def counts(self) -> Counts:
        """Return per (model, code) how often it was seen."""
        return self._intake.counts

    def step(self, timeout: float) -> bool:
        """Take what has arrived; return whether anything was read or sent.

        Raises:
            Unavailable: the log is away, or an acknowledgement did not come; what is in hand is kept for the next step.
        """
        self._intake.models.refresh()
        self._resume()
        self._drain()
        if not self._backlog:
            self._backlog = deque(
                self._poll(timeout)
            )  # not extended: a rebalance in the poll puts another in its place
            self._failpoints.hit(f"{self.name}.after_poll")
        worked = bool(self._backlog)
        self._take_backlog()
        for block in self._gathering.due(self._clock.monotonic()):
            self._queue_block(block)
            worked = True
        self._queue_ticks()
        for message in self._announcing.due(self._clock.monotonic()):
            self._queue(message, lambda: None)
        self._drain()
        self._writer.poll()
        if self._clock.monotonic() - self._committed_at >= COMMIT_SECONDS:
            self._commit()
        return worked

    def measures(self) -> Iterable[Measure]:
        """Return what is counted since the process started, and how full the process is."""
        yield from self._flow.records()
        yield from self._flow.blocks()
        yield from positions(self._offsets.committed(), self._reader.lag())
        yield from intake_measures(self._intake)
        yield number("ingest_commits_total", "Commits of offsets.", self._commits)
        yield number("ingest_ticks_total", "Ticks written into silent partitions.", self._ticks_out)
        yield from bounded(
            "ingest_in_hand_rows",
            "Records read and not settled yet.",
            {(): self._offsets.in_hand},
            MAX_ROWS_IN_HAND,
        )
        yield from bounded(
            "ingest_in_hand_bytes",
            "Bytes in blocks that are open or not acknowledged.",
            {(): self._waiting_bytes},
            MAX_BYTES_IN_HAND,
        )
        yield from self._halts.measures()

    def halted(self) -> Mapping[TopicPartition, str]:
        """Return the logs that are not read because too many of their records are dead letters."""
        return {source: _advised(halt) for source, halt in self._halts.current.items()}

    def rebuilding(self) -> str:
        """Return nothing: there is no state."""
        return ""

    def close(self) -> None:
        """Send the rows in hand, commit what is acknowledged, leave the group; idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._lose_revoked()
            for block in self._gathering.close():
                self._queue_block(block)
            self._drain()
            self._writer.flush()
            self._commit()
        finally:
            self._reader.close()
            self._writer.close()

    def _poll(self, timeout: float) -> Sequence[Admitted | Refused]:
        if self._is_full:
            self._clock.sleep(min(timeout, FULL_SECONDS))
            return ()
        wait = self._gathering.wait(self._clock.monotonic())
        polled = self._reader.poll(POLL_RECORDS, timeout if wait is None else min(timeout, wait))
        self._lose_revoked()
        stale_at = None if self._options.accept_stale else self._clock.now_ms()
        outcomes: list[Admitted | Refused] = []
        for records in polled:
            self._flow.took(len(records), records.timestamps_ms[-1])
            self._offsets.source(records.source).take(records.offsets)
            outcomes += self._intake.admit(records, stale_at_ms=stale_at)
        return outcomes

    @property
    def _is_full(self) -> bool:
        return self._offsets.in_hand >= MAX_ROWS_IN_HAND or self._waiting_bytes >= MAX_BYTES_IN_HAND

    @property
    def _waiting_bytes(self) -> int:
        return self._queued_bytes + self._gathering.payload_bytes

    def _lose_revoked(self) -> None:
        lost = self._reader.revoked()
        if lost:
            self._offsets.lose(lost)
            self._gathering.drop_lost()
            self._backlog = deque(polled for polled in self._backlog if polled.source not in lost)
            self._halts.forget(lost)

    def _take_backlog(self) -> None:
        now = self._clock.monotonic()
        while self._backlog:
            polled = self._backlog.popleft()
            offsets = self._offsets.source(polled.source)
            if isinstance(polled, Refused):
                self._queue_dead_letter(polled.record, offsets, polled.malformed)
                halt = self._halts.refuse(polled.record, polled.malformed.reason)
                if halt is not None:
                    self._halt(halt)
            else:
                self._halts.accept(polled.source, len(polled.rows))
                for full in self._gathering.add(polled, offsets, now):
                    self._queue_block(full)
            if self._outbox:
                self._drain()

    def _halt(self, halt: Halt) -> None:
        """Read no more of a log; what was polled of it is given back, and its last dead letter is the one in hand."""
        self._reader.pause(halt.source, halt.offset)
        self._offsets.source(halt.source).give_back(halt.offset)
        self._backlog = deque(polled for polled in self._backlog if polled.source != halt.source)
        self._queue_halt(halt)
        log.critical("halted", topic=halt.topic, partition=halt.partition, offset=halt.offset, error=_advised(halt))

    def _resume(self) -> None:
        """Go on with logs where an operator has looked."""
        for halt in self._halts.release():
            self._reader.resume(halt.source)
            self._queue_halt(msgspec.structs.replace(halt, is_over=True))
            log.warning("resumed", topic=halt.topic, partition=halt.partition, offset=halt.offset)

    def _queue_halt(self, halt: Halt) -> None:
        """Say it where every fold reads it, always by way of the same shard."""
        partition = halt.partition % self._topics.halves_partitions
        value, headers = encode(Block(BlockKind.TICK, halt=halt))
        self._queue(Outgoing(self._topics.halves, value, partition=partition, headers=headers), lambda: None)

    def _queue_block(self, block: OpenBlock) -> None:
        for message, start, stop in sealed(self._intake.kind, self._topics, block):
            self._flow.blocks_out += 1
            self._flow.rows_out += stop - start
            self._queue(message, partial(_settle, _owned(block, start, stop)))
        if self._ticks is not None:
            self._ticks.wrote(block.partition, self._clock.monotonic())

    def _queue_dead_letter(self, record: Record, offsets: SourceOffsets, malformed: Malformed) -> None:
        letter = dead_letter(
            self._topics,
            record,
            service=self.name,
            reason=malformed.reason,
            detail=malformed.detail,
            model=self._intake.refused(record, malformed),
        )
        self._queue(letter, partial(offsets.settle, [record.offset]))

    def _queue_ticks(self) -> None:
        if self._ticks is not None:
            for tick in self._ticks.due(self._clock.monotonic()):
                self._queue(tick, lambda: None)
                self._ticks_out += 1

    def _queue(self, message: Outgoing, acknowledged: Callable[[], None]) -> None:
        size = len(message.value or b"")

        def on_ack(_partition: int, _offset: int) -> None:
            self._queued_bytes -= size
            acknowledged()

        self._queued_bytes += size
        self._outbox.append((message, on_ack))

    def _drain(self) -> None:
        """Hand what is queued to the writer; what it does not take now stays queued."""
        while self._outbox:
            self._writer.send(*self._outbox[0])
            self._outbox.popleft()
            self._failpoints.hit(f"{self.name}.after_send")

    def _commit(self) -> None:
        self._failpoints.hit(f"{self.name}.before_commit")
        moved = self._offsets.advance()
        if moved:
            self._reader.commit(moved)
            self._commits += 1
            self._failpoints.hit(f"{self.name}.after_commit")
        self._committed_at = self._clock.monotonic()


def _advised(halt: Halt) -> str:
    """Return what has happened to a log, and how it goes on."""
    return f"{halt}; look at them, then `driftline dead-letters resume {halt.topic}/{halt.partition}`"


def _owned(block: OpenBlock, start: int, stop: int) -> list[tuple[SourceOffsets, Sequence[int]]]:
    """Return the offsets of some of a block's rows, with whom they are to be settled with."""
    found: list[tuple[SourceOffsets, Sequence[int]]] = []
    first = 0
    for owner, rows in zip(block.owners, block.parts, strict=True):
        offsets = rows.offsets[max(start - first, 0) : max(stop - first, 0)]
        found.append((owner, offsets))
        first += len(rows)
    return found


def _settle(acknowledged: Sequence[tuple[SourceOffsets, Sequence[int]]]) -> None:
    for owner, offsets in acknowledged:
        owner.settle(offsets)
