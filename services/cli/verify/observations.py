"""The observations of one shard against the fold of its halves: first copies, in order, by what they say.

Who verifies while services run asks in this order: where the view is (everything that follows from records below its
position is written), how far the observations reach, how far the halves reach (everything written follows from them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.cli.verify.beginning import Beginning
from services.cli.verify.blocks import chain_of, difference
from services.cli.verify.joined import JoinedShard
from services.cli.verify.joins import Joins
from services.cli.verify.report import Check, Evidence, named
from services.joiner.fold import Emission
from shared.events.block import FOLD, Block, decode
from shared.log import Bounds, Record, TopicPartition

_END = 1 << 80  # above every sequence number
_FORGED = "follows from no record of the halves"


@dataclass(frozen=True, slots=True)
class Reach:
    """Up to where one shard is compared."""

    shard: int
    position: int | None  # of the view: what follows from below is written
    observations: Mapping[TopicPartition, Bounds]  # asked for after that
    halves: Bounds  # and after that


class Accepted:
    """What a receiver takes of one shard from one partition of the observations: first copies, in order.

    What comes after a loss is not taken, until a joiner has written all of it again.

    Raises:
        Corrupt: a record that does not say where it stands.
    """

    def __init__(self, source: TopicPartition, records: Iterator[Record], shard: int, *, is_whole: bool) -> None:
        self.source = source
        self.copies = 0
        self.not_taken: Record | None = None  # the first that came after a loss, and no copy of which came in its place
        self._records, self._shard = records, shard
        self._fold = FOLD  # of the one that is next
        self._seq = -1
        self.fold = FOLD  # by which version of it the last one taken was given
        self._is_anchored = is_whole
        self._next = self._advance()
        # Where the beginning of the log is gone, nobody can tell which outputs stood there.
        self.begins = -1 if is_whole else self._seq if self._next is not None else _END

    def upto(self, seq: int) -> Iterator[tuple[int, Record]]:
        """Yield those below `seq` with their sequence numbers, and move past them."""
        while self._next is not None and self._seq < seq:
            taken = self._seq, self._next
            self.fold = self._fold
            self._next = self._advance()
            yield taken

    def _advance(self) -> Record | None:
        for record in self._records:
            chain = chain_of(record)
            if chain.shard != self._shard:
                continue
            if chain.seq <= self._seq:
                self.copies += 1
            elif self._is_anchored and not chain.follows(self._seq, self._fold):
                self.not_taken = self.not_taken or record
            else:
                self._is_anchored, self.not_taken, self._seq, self._fold = True, None, chain.seq, chain.fold
                return record
        return None


class Comparison:
    """Takes the halves of a shard in order, and folds them."""

    def __init__(self, reach: Reach, shard: JoinedShard, source: TopicPartition) -> None:
        self.shard = shard
        self.accepted: list[Accepted] = []  # by partition of the observations
        self.observations = Evidence(Check.OBSERVATIONS, source, *reach.halves)
        self.joins = Evidence(Check.JOINS, source, *reach.halves)
        self._reach = reach
        self._broken: list[Accepted] = []
        self._joins = Joins(self.joins)
        self.beginning = Beginning(reach.halves.low)

    def take(self, record: Record) -> None:
        """Fold one record and compare its outputs."""
        block = decode(record)
        outputs = self.shard.fold(record, block)
        self._joins.read(block)
        for output in outputs:
            self._joins.take(named(record.source, record.offset), output.block, output.log_time)
        meta = self.shard.meta
        if not self.beginning.is_over(record, block, meta.log_time, meta.period):
            self._skip(record.offset + 1)
            return
        self.observations.count("records")
        self.observations.count("outputs", len(outputs))
        problems = list(self._problems(record, outputs))
        if problems and self.beginning.doubts(block):
            self.observations.count("not comparable")
            return
        for at, text in problems:
            self.observations.differs(at, text)

    def _problems(self, record: Record, outputs: Sequence[Emission]) -> Iterator[tuple[str, str]]:
        is_written = self._reach.position is not None and record.offset < self._reach.position
        for number, accepted in enumerate(self.accepted):
            wanted = {o.block.chain.seq: o.block for o in outputs if o.partition == number and o.block.chain}
            if not wanted:
                continue  # a stranger in that partition turns up with its next output, or at the end
            for seq, given in accepted.upto((record.offset + 1) << 16):
                at, expected = named(given.source, given.offset), wanted.pop(seq, None)
                if accepted.fold != FOLD:
                    self._passes_over(accepted.fold)
                elif expected is None:
                    yield at, _FORGED
                elif text := difference(self._linked(expected, given), given):
                    yield at, f"{text} (output {seq & 0xFFFF} of {named(record.source, record.offset)})"
            for seq in wanted:
                if accepted.fold != FOLD:
                    continue  # the other fold may not have given it
                if is_written and seq > accepted.begins and accepted not in self._broken:
                    at = named(record.source, record.offset)
                    yield at, f"its output {seq & 0xFFFF} (seq {seq}) is missing in {named(accepted.source)}"
                    if accepted.not_taken is not None:
                        self._broken.append(accepted)  # a receiver takes nothing that comes after a loss

    def _passes_over(self, fold: int) -> None:
        self.observations.count("outputs of other folds")
        self.observations.leaves_out(f"outputs of fold {fold}: this release folds by {FOLD}")

    def _linked(self, expected: Block, given: Record) -> Block:
        """Return the block as it is compared: what stood before it is not known where the beginning is gone."""
        return expected if self.beginning.is_whole else expected.chained(chain_of(given))

    def _skip(self, offset: int) -> None:
        """Leave out what follows from halves below `offset`."""
        for accepted in self.accepted:
            for _ in accepted.upto(offset << 16):
                pass

    def end(self) -> None:
        """Take that the halves end here."""
        evidence, position, halves = self.observations, self._reach.position, self._reach.halves
        for accepted in self.accepted:
            for _, record in accepted.upto(_END):
                if accepted.fold != FOLD:
                    self._passes_over(accepted.fold)
                else:
                    evidence.differs(named(record.source, record.offset), _FORGED)
            evidence.count("copies", accepted.copies)
            if accepted.not_taken is not None and accepted not in self._broken:
                at = named(accepted.not_taken.source, accepted.not_taken.offset)
                evidence.differs(at, "comes after an output that is not there, so that nobody takes it")
            if accepted.begins >= 0:
                evidence.leaves_out(f"{named(accepted.source)} no longer holds its beginning: observations before it")
        if position is None and halves.high > halves.low:
            evidence.leaves_out("no view in Redis: whether observations are missing at the end")
        elif position is not None and position > halves.high:
            at = named(TopicPartition("view", self._reach.shard))
            evidence.differs(at, f"stands at {position} of the halves, which end at {halves.high}")
        if self.beginning.is_whole:
            self._joins.balance(self.shard.meta.counters)
        else:
            self.beginning.conclude(evidence, self.joins)
