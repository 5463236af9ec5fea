"""Records of `driftline.halves` and what the joiner makes of them, with as few words as a test can say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from services.joiner.columns import identities
from services.joiner.fold import Emission, Fold
from services.joiner.meta import Counters, Meta
from services.joiner.shapes import Shapes
from services.joiner.words import Words
from shared.events.block import Block, BlockKind, Stamp, decode, encode
from shared.events.ranking import pack_gains, pack_items
from shared.identity import IdKey
from shared.log import Outgoing, Record

KEY = IdKey(b"test")
MODEL = "car_loan"
HOUR = 3_600_000
HORIZON = 10 * HOUR
DESTINATIONS = 2


@dataclass(frozen=True)
class P:
    """A prediction row; equal `content` is an equal digest."""

    id: str
    prediction: str | None = "yes"
    score: float = 0.5
    segment: str | None = "low"
    content: int = 0
    ts: int = 1
    items: Sequence[str] | None = None  # of a ranking


@dataclass(frozen=True)
class L:
    """A label row."""

    id: str
    label: str | Mapping[str, float] = "yes"
    version: int | None = None
    ts: int = 100
    offset: int = 0


Half = tuple[Block, int]  # and its log time


def request(name: str, model: str = MODEL) -> bytes:
    return KEY.request(model, name)


def stamp(horizon_ms: int = HORIZON) -> Stamp:
    return Stamp(7, "c0ffee", horizon_ms, KEY.fingerprint)


def _sources(offsets: Sequence[int], topic: str) -> dict[str, pa.Array]:
    return {
        "src_topic": pa.array([topic] * len(offsets)).dictionary_encode(),
        "src_partition": pa.array([3] * len(offsets), pa.int32()),
        "src_offset": pa.array(offsets, pa.int64()),
    }


def predictions(
    *rows: P, version: str = "v1", model: str = MODEL, horizon_ms: int = HORIZON, log_ts: Sequence[int] | None = None
) -> Block:
    columns = {
        "id": pa.array([request(row.id, model) for row in rows], pa.binary(16)),
        "ts": pa.array([row.ts for row in rows], pa.int64()),
        **_sources(range(len(rows)), "predictions"),
        **({} if log_ts is None else {"log_ts": pa.array(log_ts, pa.int64())}),
        "f:age": pa.array([float(row.ts) for row in rows]),
        "s:salary": pa.array([row.segment for row in rows], pa.string()).dictionary_encode(),
        "prediction": pa.array([row.prediction for row in rows], pa.string()).dictionary_encode(),
        "score": pa.array([row.score for row in rows]),
        "digest": pa.array([row.content for row in rows], pa.uint64()),
    }
    if any(row.items is not None for row in rows):
        columns["prediction_items"] = pa.array(
            [None if row.items is None else pack_items(row.items) for row in rows], pa.binary()
        )
    return Block(BlockKind.PREDICTION, model, version, stamp(horizon_ms), pa.RecordBatch.from_pydict(columns))


def labels(*rows: L, model: str = MODEL, horizon_ms: int = HORIZON) -> Block:
    columns = {
        "id": pa.array([request(row.id, model) for row in rows], pa.binary(16)),
        "ts": pa.array([row.ts for row in rows], pa.int64()),
        **_sources([row.offset for row in rows], "ground-truth"),
        "label": _labels(rows),
        "label_version": pa.array([row.version for row in rows], pa.int64()),
    }
    return Block(BlockKind.LABEL, model, "", stamp(horizon_ms), pa.RecordBatch.from_pydict(columns))


def _labels(rows: Sequence[L]) -> pa.Array:
    if any(isinstance(row.label, Mapping) for row in rows):
        return pa.array([pack_gains(row.label) for row in rows], pa.binary())
    return pa.array([row.label for row in rows], pa.string()).dictionary_encode()


def erasure(*names: str, model: str = MODEL, horizon_ms: int = HORIZON) -> Block:
    columns = {"id": pa.array([request(name, model) for name in names], pa.binary(16))}
    return Block(BlockKind.ERASURE, model, "", stamp(horizon_ms), pa.RecordBatch.from_pydict(columns))


def tick() -> Block:
    return Block(BlockKind.TICK)


def outgoing(block: Block, topic: str, partition: int, log_time: int) -> Outgoing:
    value, headers = encode(block)
    return Outgoing(topic, value, partition=partition, headers=headers, timestamp_ms=log_time)


def records(halves: Iterable[Block | Half]) -> list[Record]:
    """Return the log of one shard; where no log time is given, it is the record's offset."""
    log = []
    for offset, half in enumerate(halves):
        block, log_time = half if isinstance(half, tuple) else (half, offset)
        value, headers = encode(block)
        log.append(Record("driftline.halves", 0, offset, log_time, None, value, headers))
    return log


class Shard:
    """One shard in memory, folded batch by batch through packed bytes, as the stage does it."""

    def __init__(self) -> None:
        self.meta = Meta.fresh(DESTINATIONS).pack()
        self.words = b""
        self.entries: dict[bytes, bytes] = {}
        self.outputs: list[Emission] = []
        self.rotations = 0

    def fold(self, batch: Iterable[Record]) -> list[Emission]:
        """Fold one batch; return its outputs."""
        shapes = Shapes(Words.unpack(self.words))
        fold = Fold(0, KEY, Meta.unpack(self.meta), shapes, self.entries)
        outputs = [emission for record in batch for emission in fold.fold(record, decode(record))]
        change = fold.change()
        self.meta = change.meta
        self.words = self.words if change.words is None else change.words
        self.entries = {**self.entries, **change.entries}
        self.rotations += change.rotate
        self.outputs += outputs
        return outputs

    def count(self, model: str = MODEL) -> Counters:
        return Meta.unpack(self.meta).counters[model]

    @property
    def state(self) -> tuple[bytes, bytes, dict[bytes, bytes]]:
        return self.meta, self.words, self.entries


def folded(*halves: Block | Half) -> Shard:
    """Return a shard after these halves, each a batch of its own."""
    shard = Shard()
    for record in records(halves):
        shard.fold([record])
    return shard


def rows(emissions: Iterable[Emission], kind: BlockKind, names: Sequence[str] = ()) -> list[tuple[object, ...]]:
    """Return the rows of one kind as (model version, id, *columns)."""
    found: list[tuple[object, ...]] = []
    for emission in emissions:
        block = emission.block
        if block.kind is kind and block.batch is not None:
            columns = [block.batch.column(name).to_pylist() for name in names]
            found += [(block.model_version, *row) for row in zip(identities(block.batch), *columns, strict=True)]
    return found
