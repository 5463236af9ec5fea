"""The fold: records of one shard of `driftline.halves` in, observations and the shard's next state out.

Pure: the result depends on nothing but the state before and the records, and not on how records are cut into batches.
The rules of a request id: a prediction counts once for each model version, the first one wins; a label joins each of
them; a label that comes first waits; of several labels the one of the highest rank stands, and replacing a label that
was already joined is a correction. Of an id that was erased nothing is kept, and for one horizon nothing is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa

from services.joiner.columns import identities, integers, is_list, lists
from services.joiner.entry import (
    CLASS_LABEL,
    MAX_VERSIONS,
    Entry,
    expires,
    expiry,
    header,
    pack,
    pack_labels,
    rank,
    same_label,
    unlabelled,
    unpack,
)
from services.joiner.meta import MAX_WAITING_LABELS, Counters, Meta
from services.joiner.outputs import Joins, rows_per_output, served_blocks
from services.joiner.shapes import DIGEST_AT, HEAD, Shapes, pack_predictions
from services.joiner.view import Change
from services.joiner.words import OTHER, checksum
from shared.errors import Corrupt, LogIdentity
from shared.events.block import FOLD, ITEMS, LABEL, LOG_TS, LOG_TS_SPAN_MS, Block, BlockKind, Chain, encode
from shared.identity import IdKey
from shared.log import Outgoing, Record


@dataclass(frozen=True, slots=True)
class Emission:
    """One observation: to which partition, and the log time it belongs to."""

    partition: int
    log_time: int
    block: Block

    def outgoing(self, topic: str) -> Outgoing:
        """Return the record to write."""
        value, headers = encode(self.block)
        return Outgoing(topic, value, partition=self.partition, headers=headers, timestamp_ms=self.log_time)


class Fold:
    """One batch of one shard: give it each record in order, send what it returns, then store its `change`.

    `meta` and `shapes` are grown in place, so both are lost with a batch that was not stored. `stored` holds the
    entries of the batch's ids as they were read.
    """

    def __init__(self, shard: int, key: IdKey, meta: Meta, shapes: Shapes, stored: Mapping[bytes, bytes]) -> None:
        self._shard = shard
        self._key = key
        self._meta = meta
        self._shapes = shapes
        self._words_before = len(shapes.words)
        self._stored = stored
        self._changed: dict[bytes, bytes] = {}
        self._erased: dict[bytes, None] = {}
        self._rotate = False

    def fold(self, record: Record, block: Block) -> list[Emission]:
        """Return the outputs of one record, in order.

        Raises:
            Corrupt: a kind of block that does not belong here.
            LogIdentity: the block was keyed with another id key, so its ids can never meet ours.
        """
        if block.kind is not BlockKind.TICK and block.stamp.id_key != self._key.fingerprint:
            raise LogIdentity(
                f"{record.topic}-{record.partition}@{record.offset}: id key {block.stamp.id_key}, "
                f"this process has {self._key.fingerprint}"
            )
        times = self._advance_time(record, block)
        if block.kind is BlockKind.TICK:
            return self._emit(record, ((partition, block) for partition in range(len(self._meta.prev))))
        outputs: Iterable[Block]
        if block.batch is None:
            outputs = ()
        elif block.kind is BlockKind.PREDICTION:
            outputs = self._predictions(record.offset << 16, block, block.batch, times)
        elif block.kind is BlockKind.LABEL:
            outputs = self._labels(block, block.batch, times)
        elif block.kind is BlockKind.ERASURE:
            self._erase(block, block.batch, times)
            outputs = ()
        else:
            raise Corrupt(f"{record.topic}-{record.partition}@{record.offset}: {block.kind} does not belong here")
        partition = self._key.model_partition(block.model, len(self._meta.prev))
        return self._emit(record, ((partition, output) for output in outputs))

    def change(self) -> Change:
        """Return what the records folded so far did to the shard."""
        words = self._shapes.words
        grown = words.pack() if len(words) > self._words_before else None
        if grown is not None:
            self._meta.words_crc = checksum(grown)
        self._meta.fold = FOLD
        return Change(
            position=self._meta.last_offset + 1,
            meta=self._meta.pack(),
            words=grown,
            rotate=self._rotate,
            entries=self._changed,
            erased=tuple(self._erased),
        )

    def _advance_time(self, record: Record, block: Block) -> list[int]:
        """Move log time over the record; return it at each row."""
        meta = self._meta
        first = meta.last_offset < 0
        slack = 0
        if block.batch is not None and block.rows and LOG_TS in block.batch.schema.names:
            # Each row has the log time it would have if blocks were single rows; those of later blocks may be older.
            times: list[int] = integers(block.batch, LOG_TS).tolist()
            meta.log_time = max(meta.log_time, *times)
            slack = LOG_TS_SPAN_MS
        else:
            meta.log_time = max(meta.log_time, record.timestamp_ms)
            times = [meta.log_time] * block.rows
        meta.last_offset = record.offset
        meta.period = max(meta.period, block.stamp.horizon_ms)
        if first:
            meta.generation = meta.log_time
        elif meta.period and meta.log_time - slack - meta.generation >= meta.period:
            # All entries of the older generation were written before the current one began, so they are expired by
            # now: each lives at most one period. This holds when the period grows, too, but not on a fixed grid.
            meta.generation = meta.log_time
            meta.waiting = 0
            self._rotate = True
        return times

    def _emit(self, record: Record, outputs: Iterable[tuple[int, Block]]) -> list[Emission]:
        emissions = []
        for number, (partition, block) in enumerate(outputs):
            seq = record.offset << 16 | number
            place = Chain(self._shard, seq, self._meta.prev[partition], FOLD)
            self._meta.prev[partition] = seq
            emissions.append(Emission(partition, self._meta.log_time, block.chained(place)))
        return emissions

    def _entry(self, identity: bytes, log_time: int) -> bytes | None:
        """Return the packed entry of an id, unless it is expired: whether the view still has it must not matter."""
        packed = self._changed.get(identity) or self._stored.get(identity)
        return None if packed is None or log_time > expires(packed) else packed

    def _predictions(self, first_seq: int, block: Block, batch: pa.RecordBatch, times: list[int]) -> Iterable[Block]:
        counters = self._meta.count(block.model)
        shape = self._shapes.admit(block, batch)
        if shape is None:
            counters.predictions_dropped += block.rows
            return ()
        packed = pack_predictions(shape, batch, self._shapes.words)
        items = lists(batch, ITEMS) if shape.is_ranking else None
        if not shape.numeric and items is None:
            counters.classes_over_cap += int(np.count_nonzero(packed["prediction"] == OTHER))
        content, width = packed.tobytes(), shape.width
        code = shape.code.to_bytes(2, "little")
        step = rows_per_output(batch)
        chunks: list[list[int]] = []
        cut = begun = -1
        beginning = b""
        joins = Joins(BlockKind.LABELLED)
        for row, (identity, log_time) in enumerate(zip(identities(batch), times, strict=True)):
            body = content[row * width + DIGEST_AT : (row + 1) * width]
            if items is not None:
                body += items[row] or b""
            stored = self._entry(identity, log_time)
            entry = None if stored is None else unpack(stored, self._shapes)
            if entry is not None and self._repeats(entry, block.model_version, body[:8], counters):
                continue
            if row // step != cut:
                cut = row // step
                chunks.append([])
                head = code + (first_seq | len(chunks) - 1).to_bytes(8, "little")
            part = head + len(chunks[-1]).to_bytes(2, "little") + body
            chunks[-1].append(row)
            if entry is None:
                if log_time != begun:
                    begun, beginning = log_time, header(1, expiry(log_time, block.stamp.horizon_ms))
                self._changed[identity] = beginning + part
                continue
            if entry.label:
                joins.add(identity, part, entry.label)
                if not entry.parts:
                    counters.unmatched_label -= 1
                    counters.labels_joined += 1
                    self._meta.waiting = max(0, self._meta.waiting - 1)
            self._changed[identity] = pack(Entry(entry.expiry, (*entry.parts, part), entry.label))
        counters.served += sum(map(len, chunks))
        return chain(served_blocks(block, batch, chunks), joins.blocks(block, self._shapes))

    def _repeats(self, entry: Entry, model_version: str, digest: bytes, counters: Counters) -> bool:
        """Tell whether an id has this prediction already, has room for no other, or is erased; count it."""
        if entry.is_erased:
            counters.predictions_erased += 1
            return True
        for part in entry.parts:
            if self._shapes.of(part[0] | part[1] << 8).model_version == model_version:
                if part[DIGEST_AT : HEAD.itemsize] == digest:
                    counters.prediction_duplicates += 1
                else:
                    counters.prediction_conflicts += 1
                return True
        if len(entry.parts) == MAX_VERSIONS:
            counters.predictions_dropped += 1
            return True
        return False

    def _labels(self, block: Block, batch: pa.RecordBatch, times: list[int]) -> Iterable[Block]:
        counters = self._meta.count(block.model)
        packed = pack_labels(block.model, batch, self._shapes.words)
        over = (packed["kind"] == CLASS_LABEL) & (packed["value"] == OTHER)
        counters.classes_over_cap += int(np.count_nonzero(over))
        content, width = packed.tobytes(), packed.dtype.itemsize
        gains = lists(batch, LABEL) if is_list(batch.column(LABEL)) else None
        joined, corrected = Joins(BlockKind.LABELLED), Joins(BlockKind.CORRECTED)
        for row, (identity, log_time) in enumerate(zip(identities(batch), times, strict=True)):
            label = content[row * width : (row + 1) * width]
            if gains is not None:
                label += gains[row] or b""
            stored = self._entry(identity, log_time)
            if stored is None and self._meta.waiting >= MAX_WAITING_LABELS:
                counters.labels_dropped += 1
                continue
            if stored is None:
                counters.unmatched_label += 1
                self._meta.waiting += 1
                self._changed[identity] = header(0, expiry(log_time, block.stamp.horizon_ms)) + label
                continue
            if part := unlabelled(stored, self._shapes):
                counters.labels_joined += 1
                joined.add(identity, part, label)
                self._changed[identity] = stored + label
                continue
            entry = unpack(stored, self._shapes)
            if entry.is_erased:
                counters.labels_erased += 1
                continue
            if not entry.label:
                counters.labels_joined += 1
                for part in entry.parts:
                    joined.add(identity, part, label)
            elif same_label(label, entry.label):
                counters.label_duplicates += 1
                if rank(label) <= rank(entry.label):
                    continue
            elif rank(label) > rank(entry.label):
                counters.corrections += 1
                for part in entry.parts:
                    corrected.add(identity, part, label, entry.label)
            else:
                counters.label_conflicts += 1
                continue
            self._changed[identity] = pack(Entry(entry.expiry, entry.parts, label))
        return chain(joined.blocks(block, self._shapes), corrected.blocks(block, self._shapes))

    def _erase(self, block: Block, batch: pa.RecordBatch, times: list[int]) -> None:
        self._meta.count(block.model).erasures += block.rows
        for identity, log_time in zip(identities(batch), times, strict=True):
            self._changed[identity] = pack(Entry.erased(expiry(log_time, block.stamp.horizon_ms)))
            self._erased[identity] = None
