"""Every event of the input topics against the halves and the dead letters: nothing is lost, and nothing is misread.

The halves and the dead letters are read first, and then each raw log once: what was made of a record is made again,
under the definition that its block names. A record that both of them lack is lost, if its consumer has committed it.

Who verifies while services run asks in this order: what the consumers have committed, how far the halves and the dead
letters reach, how far the raw logs reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import groupby

import msgspec
import numpy as np

from services.cli.verify.installation import Installation
from services.cli.verify.report import Check, Evidence, named
from services.cli.verify.slots import NOTHING, Slots, row_digests
from services.cli.verify.validators import Validators
from shared.errors import Corrupt
from shared.events.block import SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, BlockKind, decode
from shared.events.dead_letter import DeadLetter
from shared.history import history
from shared.ingest.intake import Refused
from shared.log import Bounds, Reader, Record, Records, TopicPartition
from shared.unreadable import UNREADABLE

MOST = 40_000_000  # raw records that are looked at; of more, the newest
RUN = 250  # records that are normalised together

_BY_THE_CLOCK = "stale"  # a reason that no log tells again
_Logs = Mapping[TopicPartition, Bounds]


def verify_inputs(here: Installation, reader: Reader) -> list[Evidence]:
    """Return what is found of every raw log."""
    topics = here.topics
    kinds = {topics.predictions: BlockKind.PREDICTION, topics.ground_truth: BlockKind.LABEL}
    services = {topics.predictions: "prediction_consumer", topics.ground_truth: "ground_truth_consumer"}
    committed: dict[TopicPartition, int] = {}
    for topic, service in services.items():
        committed |= here.committed(service, [TopicPartition(topic, n) for n in range(reader.partitions(topic))])
    halves, letters = here.logs(topics.halves, reader), here.logs(topics.dead_letters, reader)
    raw = {source: bounds for topic in kinds for source, bounds in here.logs(topic, reader).items()}
    found = {
        source: _Raw(here, kinds[source.topic], source, bounds, MOST // len(raw)) for source, bounds in raw.items()
    }
    with closing(here.open_reader()) as log:
        for source, bounds in halves.items():
            for record in here.metered(log, source, *bounds, "reading"):
                _take_halves(found, record)
        for source, bounds in letters.items():
            for record in here.metered(log, source, *bounds, "reading"):
                _take_letter(found, record)
        gone_before = max(_begin(here, source, bounds) for source, bounds in {**halves, **letters}.items())
        for source, one in found.items():
            one.settle(log, committed.get(source), gone_before)
    return [one.evidence for one in found.values()]


def _begin(here: Installation, source: TopicPartition, bounds: Bounds) -> int:
    """Return the time from which a log has everything; 0 where it has not lost its beginning."""
    if bounds.low == 0:
        return 0
    with closing(here.open_reader()) as reader:
        first = next(history(reader, source, bounds.low, bounds.high), None)
    return 1 << 62 if first is None else first.timestamp_ms


def _take_halves(found: Mapping[TopicPartition, _Raw], record: Record) -> None:
    at = named(record.source, record.offset)
    try:
        block = decode(record)
    except Corrupt:
        return  # told by the check of the observations
    if block.batch is None or block.kind is BlockKind.ERASURE:  # which no producer writes
        return
    digests = row_digests(block.batch, block.model, block.model_version, str(record.partition))
    topics, partitions = (block.batch.column(name).to_pylist() for name in (SRC_TOPIC, SRC_PARTITION))
    offsets = np.asarray(block.batch.column(SRC_OFFSET).to_numpy(zero_copy_only=False), np.int64)
    rows = range(block.rows)
    for source, places in groupby(rows, key=lambda row: TopicPartition(topics[row], partitions[row])):
        chosen = list(places)
        raw = found.get(source)
        if raw is None or raw.kind is not block.kind:
            next(iter(found.values())).evidence.differs(at, f"has rows of {named(source)}, which is no such input")
            continue
        raw.take(at, block.stamp.config_hash, offsets[chosen], digests[chosen])


def _take_letter(found: Mapping[TopicPartition, _Raw], record: Record) -> None:
    try:
        letter = msgspec.json.decode(record.value or b"", type=DeadLetter)
    except UNREADABLE as exc:
        next(iter(found.values())).evidence.differs(named(record.source, record.offset), f"is no dead letter ({exc})")
        return
    raw = found.get(TopicPartition(letter.topic, letter.partition))
    if raw is not None:  # else of another topic, which other services read
        raw.refuse(named(record.source, record.offset), letter.reason, letter.offset)


class _Raw:
    """One raw log."""

    def __init__(self, here: Installation, kind: BlockKind, source: TopicPartition, bounds: Bounds, most: int) -> None:
        self.kind = kind
        low = max(bounds.low, bounds.high - most)
        self.evidence = Evidence(Check.INPUTS, source, low, bounds.high)
        if low > bounds.low:
            self.evidence.leaves_out(f"offsets {bounds.low}..{low}: at most {most:,} records of a log are looked at")
        self._here, self._source = here, source
        self._slots = Slots(low, bounds.high)
        self._names: list[tuple[str, str]] = [("", "")]  # by fate: a definition, or a reason
        self._fates: dict[tuple[str, str], int] = {}
        self._validators = Validators(kind, here)

    def take(self, at: str, definition: str, offsets: np.ndarray, digests: np.ndarray) -> None:
        """Take rows of the halves."""
        beyond = offsets[offsets >= self._slots.high]
        if beyond.size:
            self.evidence.differs(at, f"has a row of {named(self._source, int(beyond[0]))}, which is not there")
        kept = (offsets >= self._slots.low) & (offsets < self._slots.high)
        self.evidence.count("rows of records no longer kept", int((offsets < self._slots.low).sum()))
        fate = self._fate(definition, "")
        for offset in self._slots.take(offsets[kept], digests[kept], fate).tolist():
            self.evidence.differs(at, f"says of {named(self._source, offset)} what another row does not")

    def refuse(self, at: str, reason: str, offset: int) -> None:
        """Take a dead letter; what is a row besides was read again under another definition."""
        if offset >= self._slots.high:
            self.evidence.differs(at, f"refuses {named(self._source, offset)}, which is not there")
        elif offset >= self._slots.low and self._slots.fates[offset - self._slots.low] == NOTHING:
            self._slots.fates[offset - self._slots.low] = self._fate("", reason)

    def settle(self, reader: Reader, committed: int | None, gone_before: int) -> None:
        """Read the log, and compare what became of each record."""
        if committed is None and self._slots.high > self._slots.low:
            self.evidence.leaves_out("its consumer has committed nothing: whether records are missing")
        run: list[Record] = []
        for record in self._here.metered(reader, self._source, self._slots.low, self._slots.high, "normalising"):
            if run and (len(run) == RUN or self._fate_of(record) != self._fate_of(run[0])):
                self._settle(run, committed or 0, gone_before)
                run = []
            run.append(record)
        if run:
            self._settle(run, committed or 0, gone_before)

    def _settle(self, run: Sequence[Record], committed: int, gone_before: int) -> None:
        fate = self._fate_of(run[0])
        definition, reason = self._names[fate]
        if fate == NOTHING:
            for record in run:
                if record.offset >= committed:
                    self.evidence.count("under way")
                elif record.timestamp_ms < gone_before:
                    self.evidence.count("records whose row is no longer kept")
                else:
                    at = named(self._source, record.offset)
                    self.evidence.differs(at, "is neither in the halves nor in the dead letters")
        elif reason:
            for record in run:
                self._compare_reason(record, reason)
        else:
            self._compare_rows(run, definition)

    def _compare_rows(self, run: Sequence[Record], definition: str) -> None:
        intake = self._validators.of(definition)
        if intake is None:
            self.evidence.leaves_out(f"rows under the definition {definition}, which is not published any longer")
            return
        for outcome in intake.admit(Records.of(run), stale_at_ms=None):
            if isinstance(outcome, Refused):
                at = named(self._source, outcome.record.offset)
                self.evidence.differs(at, f"has a row in the halves, and is to be refused: {outcome.malformed}")
                continue
            batch = outcome.model.codec.batch([outcome.rows], log_time=False)
            digests = row_digests(batch, outcome.model.name, outcome.model_version, str(outcome.partition))
            offsets = np.asarray(outcome.rows.offsets, np.int64)
            self.evidence.count("rows", len(offsets))
            for offset in offsets[self._slots.digests[offsets - self._slots.low] != digests].tolist():
                self.evidence.differs(named(self._source, offset), "has a row in the halves that is not what it says")

    def _compare_reason(self, record: Record, reason: str) -> None:
        self.evidence.count("dead letters")
        if reason == _BY_THE_CLOCK:
            self.evidence.leaves_out("whether records were stale when they were read")
            return
        wanted = self._validators.reasons(record)
        if reason not in wanted:
            what = " or ".join(sorted(filter(None, wanted))) or "a row"
            self.evidence.differs(named(self._source, record.offset), f"is refused as {reason}, and is {what}")

    def _fate_of(self, record: Record) -> int:
        return int(self._slots.fates[record.offset - self._slots.low])

    def _fate(self, definition: str, reason: str) -> int:
        name = (definition, reason)
        if name not in self._fates:
            self._fates[name] = len(self._names)
            self._names.append(name)
        return self._fates[name]
