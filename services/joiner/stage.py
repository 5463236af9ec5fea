"""The joiner's loop: whole blocks from `driftline.halves`, one look at the view, fold, outputs, acks, compare-and-set.

A position passes a record only after all its outputs are acknowledged, and entries are used only when they were read
together with the position they belong to. Whoever finds the view elsewhere than expected starts over from where it
is: another joiner's work, a store that went back in time and an empty one all cost repeated work and nothing else.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from services.joiner.account import Account, Rebuild, Stored
from services.joiner.asking import Asking, at_once
from services.joiner.columns import identities
from services.joiner.fold import Fold
from services.joiner.leaps import refuse_leaps
from services.joiner.mark import Mark
from services.joiner.meta import Meta
from services.joiner.shapes import Shapes
from services.joiner.view import View
from services.joiner.words import Words, checksum
from shared.bookmarks import Bookmarks
from shared.clock import Clock
from shared.errors import ConfigurationError, Corrupt
from shared.events.block import Block, decode
from shared.failpoints import Failpoints
from shared.identity import IdKey
from shared.log import Reached, Reader, Record, TopicPartition, Writer
from shared.measures import Measure
from shared.shares import Shares
from shared.topics import Topics

BATCH_ROWS = 4_000  # ids in one compare-and-set
POLL_RECORDS = 128
TELL_SECONDS = 1.0
_OVER = object()


@dataclass(slots=True)
class _Shard:
    """What this process remembers of a shard. Lost whenever the view turns out to be elsewhere."""

    position: int | None
    shapes: Shapes
    words_crc: int
    first: int = 0  # offset at which its log begins, while it is rebuilt
    quiet_below: int = 0  # outputs of records below are acknowledged already: the view alone is rebuilt
    told_at: float = -TELL_SECONDS  # when the group was told of the position


class JoinerStage:
    """Joins the shards that `shares` gives it; every other joiner may join the same ones at the same time."""

    name = "joiner"

    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        view: View,
        *,
        clock: Clock,
        topics: Topics,
        key: IdKey,
        shares: Shares,
        confirmed_ms: int | None = None,
        failpoints: Failpoints | None = None,
        asking: Asking = at_once,
    ) -> None:
        """confirmed_ms: see `refuse_leaps`; None: log time may leap, as in rows that were recorded long ago.

        asking: how the view is asked while several shards have something to do.
        """
        self._reader = reader
        self._writer = writer
        self._view = view
        self._topics = topics
        self._key = key
        self._confirmed_ms = confirmed_ms
        self._failpoints = failpoints or Failpoints()
        self._asking = asking
        self._shares = shares
        self._held: frozenset[int] | None = None  # as they were assigned; None: they must be, again
        self._shards: dict[int, _Shard] = {}
        self._clock = clock
        self._topic_ids: tuple[str, str] = ("", "")  # of halves and observations
        self._bookmarks = Bookmarks(reader, clock, "view", _advice)
        self.account = Account()

    def step(self, timeout: float) -> bool:
        """Fold what has arrived; return whether anything had.

        Raises:
            Unavailable: view or log are away; the next step starts over from the stored positions.
            LogIdentity: the log is not the one that the view was folded from; compared where a shard is taken up, and
                every few minutes.
            LogTime: log time leaps, and nobody has confirmed it.
            Corrupt: a block or the view does not read back.
            ConfigurationError: the topics have other partition counts than this installation.
        """
        self._resume()
        by_shard: dict[int, list[Record]] = {}
        records = self._reader.poll(POLL_RECORDS, timeout)
        if records:
            self.account.flow.took(len(records), records[-1].timestamp_ms)
            self._failpoints.hit("joiner.after_poll")
        for record in self._bookmarks.unread(records):
            by_shard.setdefault(record.partition, []).append(record)
        ask = self._asking if len(by_shard) > 1 else at_once
        turns = [self._join_all(number, self._shards.pop(number), found, ask) for number, found in by_shard.items()]
        while turns:
            turns = [turn for turn in turns if next(turn, _OVER) is not _OVER]
        return bool(by_shard)

    def measures(self) -> Iterable[Measure]:
        """Return what the shards have counted, and what this process did."""
        return self.account.measures(self._reader.lag())

    def halted(self) -> Mapping[TopicPartition, str]:
        """Return nothing: no log is halted by itself."""
        return {}

    def rebuilding(self) -> str:
        """Return how far views are whose outputs are acknowledged already, and which are folded anew."""
        return self.account.rebuilding()

    def close(self) -> None:
        """Leave the log and the view as they are."""
        self._shares.close()
        self._reader.close()
        self._writer.close()
        self._view.close()

    def _resume(self) -> None:
        """Read every shard of ours on from where the view has it, if this process does not know."""
        held = self._shares.held()
        if held != self._held:
            self._take(held)
        if self._bookmarks.are_due():
            self._look_up_topics()
            self._shards.clear()
        for number in sorted(held):
            if number not in self._shards:
                shard, start = self._load(number)
                self._reader.seek(self._source(number), start)
                self._shards[number] = shard

    def _take(self, held: frozenset[int]) -> None:
        """Load the shards that are ours, and forget the others: whoever has them reads the view."""
        if self._held is None:
            self._check_partitions()
            self._look_up_topics()
        self._held = None  # until all are loaded, and the reader is where their bookmarks are
        loaded = {number: self._load(number) for number in sorted(held)}
        self._reader.assign({self._source(number): start for number, (_, start) in loaded.items()})
        self._shards = {number: shard for number, (shard, _) in loaded.items()}
        self.account.keep({self._source(number) for number in held})
        self._held = held

    def _load(self, number: int) -> tuple[_Shard, int]:
        """Return a shard as the view has it, and where to read on."""
        snapshot = self._view.load(number)
        if not snapshot.intact:
            self._view.drop(number)
            self.account.rebuilt += 1
            snapshot = self._view.load(number)
        source, words_crc = self._source(number), checksum(snapshot.words)
        if snapshot.position is None:
            start = self._bookmarks.begin(source)
            quiet_below = 0 if snapshot.aloud else self._acknowledged(source)
            self.account.rebuild(source, Rebuild(start, start, quiet_below))
            return _Shard(None, Shapes(Words()), words_crc, start, quiet_below), start
        meta = Meta.unpack(snapshot.meta)
        if meta.words_crc != words_crc:
            raise Corrupt(f"the view of shard {number} has other words than its meta says")
        mark = Mark.unpack(snapshot.mark)
        first = self._reader.bounds(source).low if mark.quiet_below else 0
        shard = _Shard(snapshot.position, Shapes(Words.unpack(snapshot.words)), words_crc, first, mark.quiet_below)
        self.account.rebuild(source, Rebuild(first, snapshot.position, mark.quiet_below))
        self.account.stored[source] = Stored(snapshot.position, meta, shard.shapes.words)
        return shard, self._bookmarks.take_up(source, snapshot.position, mark.bookmark)

    def _join_all(self, number: int, shard: _Shard, records: Iterable[Record], ask: Asking) -> Iterator[None]:
        """Take all that was polled of a shard through; yield where others may go on, because the view is asked."""
        for batch in _batches(records):
            if not (yield from self._join(number, shard, batch, ask)):
                self.account.restarts += 1
                return
        # Only after all of it is stored: whatever goes wrong, the shard is loaded again.
        self._shards[number] = shard

    def _join(
        self, number: int, shard: _Shard, batch: Sequence[tuple[Record, Block]], ask: Asking
    ) -> Generator[None, None, bool]:
        """Take one batch through; return whether the view was where we thought, before and after."""
        ids = dict.fromkeys(chain.from_iterable(identities(b.batch) for _, b in batch if b.batch is not None))
        answer = ask(partial(self._view.read, number, shard.position, list(ids)))
        yield
        reading = answer()
        self._failpoints.hit("joiner.after_read")
        if reading is None:
            return False
        meta = self._meta(reading.meta)
        if meta.words_crc != shard.words_crc:
            return False  # same position, but rebuilt from a log that no longer began where ours did
        if self._confirmed_ms is not None:
            refuse_leaps(meta, batch, self._confirmed_ms)
        flow = self.account.flow
        written_before = flow.rows_out
        fold = Fold(number, self._key, meta, shard.shapes, reading.entries)
        for record, block in batch:
            flow.rows_in += block.rows
            emissions = fold.fold(record, block)
            if record.offset < shard.quiet_below:
                self.account.quiet += len(emissions)
                continue
            for emission in emissions:
                flow.blocks_out += emission.block.batch is not None  # ticks are none
                flow.rows_out += emission.block.rows
                self._failpoints.hit("joiner.emit")
                self._writer.send(emission.outgoing(self._topics.observations))
        self._writer.flush()
        if flow.rows_out > written_before:  # of other batches nothing is there twice if this is the end
            self._failpoints.hit("joiner.before_cas")
        change = fold.change()
        if change.position >= shard.quiet_below:
            shard.quiet_below = 0  # rebuilt
        change = replace(change, mark=Mark(self._bookmarks.of(batch[-1][0]), shard.quiet_below).pack())
        is_done = ask(partial(self._view.advance, number, shard.position, change))
        yield
        if not is_done():
            return False
        self._failpoints.hit("joiner.after_cas")
        shard.position, shard.words_crc = change.position, meta.words_crc
        self.account.stored[self._source(number)] = Stored(change.position, meta, shard.shapes.words)
        self.account.rotations += change.rotate
        self.account.rebuild(self._source(number), Rebuild(shard.first, change.position, shard.quiet_below))
        self._tell(self._source(number), shard, change.position)
        return True

    def _acknowledged(self, source: TopicPartition) -> int:
        """Return below which offset all outputs are acknowledged, as far as this is known of these very logs."""
        reached, bounds = self._reader.told(source), self._reader.bounds(source)
        if reached is None or reached.note != self._logs() or not bounds.low <= reached.offset <= bounds.high:
            return 0
        return reached.offset

    def _tell(self, source: TopicPartition, shard: _Shard, position: int) -> None:
        """Let the group know where a shard is, which shows its lag and spares a rebuild what is written already."""
        now = self._clock.monotonic()
        if position >= shard.quiet_below and now - shard.told_at >= TELL_SECONDS:
            self._reader.tell(source, Reached(position, self._logs()))
            shard.told_at = now

    def _look_up_topics(self) -> None:
        topics = self._topics
        self._topic_ids = self._reader.topic_id(topics.halves), self._reader.topic_id(topics.observations)

    def _logs(self) -> str:
        """Return by which topics an acknowledged position counts."""
        return " ".join(self._topic_ids)

    def _meta(self, packed: bytes) -> Meta:
        partitions = self._topics.observations_partitions
        meta = Meta.unpack(packed) if packed else Meta.fresh(partitions)
        if len(meta.prev) != partitions:
            raise ConfigurationError(
                "DRIFTLINE_OBSERVATIONS_PARTITIONS",
                f"is {partitions}, but the view was made with {len(meta.prev)}; the count cannot change in place",
            )
        return meta

    def _check_partitions(self) -> None:
        for topic, wanted in (
            (self._topics.halves, self._topics.halves_partitions),
            (self._topics.observations, self._topics.observations_partitions),
        ):
            found = self._reader.partitions(topic)
            if found != wanted:
                raise ConfigurationError(
                    f"topic {topic}",
                    f"has {found} partitions, expected {wanted}"
                    if found
                    else "does not exist; create the topics first",
                )

    def _source(self, number: int) -> TopicPartition:
        return TopicPartition(self._topics.halves, number)


def _advice(source: TopicPartition) -> str:
    return (
        f"restore {source.topic}, or create it and the observations anew and give DRIFTLINE_INSTALLATION a new name "
        "(docs/operate.md)"
    )


def _batches(records: Iterable[Record]) -> Iterator[list[tuple[Record, Block]]]:
    """Yield whole blocks, as many as have no more than `BATCH_ROWS` rows together."""
    batch: list[tuple[Record, Block]] = []
    rows = 0
    for record in records:
        block = decode(record)
        if batch and rows + block.rows > BATCH_ROWS:
            yield batch
            batch, rows = [], 0
        batch.append((record, block))
        rows += block.rows
    if batch:
        yield batch
