"""Blocks: the records of `driftline.halves` and `driftline.observations`.

A block is one Arrow record batch of rows of one kind, model and model version, with headers that make it readable on
its own: magic and codec version, what it is, the stamp of the configuration it was made under, and a CRC32C over the
value and those headers. The block is the unit of position; the fold inside it is per row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import google_crc32c
import pyarrow as pa

from shared.errors import Corrupt, Newer
from shared.events.halt import Halt, decode_halt, encode_halt
from shared.events.news import News, decode_news, encode_news
from shared.log import Headers, Record
from shared.versions import version_after

_NAME, CODEC = b"driftline/", 1
MAGIC = b"%b%d" % (_NAME, CODEC)
# The joiner's fold: moves whenever equal halves give other outputs. A release may change what outputs hold, leave some
# out and put some behind the others of a record, but not cut the same rows into outputs otherwise: after a crash the
# first outputs of a record may be of one fold, and the last of the next.
FOLD = 1
MAX_ROWS = 2_000
MAX_BYTES = 1 << 20

# Column names; features, flags and segments carry their prefix.
ID, TS, DIGEST = "id", "ts", "digest"
LOG_TS = "log_ts"  # int64 ms, halves only, where the log has no time of its own (a backtest)
LOG_TS_SPAN_MS = 86_400_000  # no row with `log_ts` is older than one in a block before it by more than this
SRC_TOPIC, SRC_PARTITION, SRC_OFFSET = "src_topic", "src_partition", "src_offset"
PREDICTION, SCORE, LABEL, LABEL_VERSION, LABEL_TS = "prediction", "score", "label", "label_version", "label_ts"
# Of a model that ranks, in the bytes of `ranking.py`: its list, null where it gave none; `label` holds gains. Where its
# list is served, `prediction` is the text of the first item.
ITEMS = "prediction_items"
# Of the model's own service: float64 ms, NaN where an event does not tell; uint8, 1 where it tells of an error. Only
# blocks have them in which a row has.
LATENCY_MS, FAILED = "latency_ms", "failed"
REPLACED_LABEL, SERVED_SEQ, SERVED_ROW = "replaced_label", "served_seq", "served_row"
FEATURE_PREFIX, FLAGS_PREFIX, SEGMENT_PREFIX, SCORE_PREFIX = "f:", "flags:", "s:", "score:"

# Bits of a `flags:<feature>` column (uint8): why the value is missing.
FLAG_TYPE_ERROR, FLAG_OUT_OF_RANGE, FLAG_NOT_FINITE = 1, 2, 4


class BlockKind(StrEnum):
    """What the rows of a block are."""

    PREDICTION = "prediction"  # halves
    LABEL = "label"  # halves
    ERASURE = "erasure"  # halves: requests that someone asked to forget, ids alone
    TICK = "tick"  # halves and observations: log time only, no rows, no model
    SERVED = "served"  # observations: first sight of a prediction
    LABELLED = "labelled"  # observations: a prediction met its label
    CORRECTED = "corrected"  # observations: a newer label replaced the one before


@dataclass(frozen=True, slots=True)
class Stamp:
    """The configuration a block was made under; the joiner copies it."""

    config_version: int
    config_hash: str
    horizon_ms: int
    id_key: str  # fingerprint of the id key


@dataclass(frozen=True, slots=True)
class Chain:
    """Where an observation stands in its shard's outputs: accept only seq > last, a gap against `prev` is a loss."""

    shard: int
    seq: int
    prev: int  # -1: the shard's first output to this partition
    fold: int = FOLD  # the version of the fold that gave it

    def follows(self, last: int, fold: int) -> bool:
        """Tell whether nothing is missing between an output `last`, given by `fold`, and this one, which is later.

        Who goes on with a shard may repeat what was written before, and with another fold give fewer outputs than it
        repeats: its first one that is new then names one before `last`.
        """
        return self.prev == last or (self.fold != fold and self.prev < last)


NO_STAMP = Stamp(0, "", 0, "")


@dataclass(frozen=True, slots=True)
class Block:
    """One decoded record. `batch` is None for ticks, which alone have `halt` or `news`; `chain` is None in halves."""

    kind: BlockKind
    model: str = ""
    model_version: str = ""
    stamp: Stamp = NO_STAMP
    batch: pa.RecordBatch | None = None
    chain: Chain | None = None
    halt: Halt | None = None
    news: News | None = None

    @property
    def rows(self) -> int:
        """Return how many rows the block holds."""
        return 0 if self.batch is None else int(self.batch.num_rows)

    def chained(self, chain: Chain) -> Block:
        """Return the block with its place in the shard's outputs."""
        return replace(self, chain=chain)


def encode(block: Block) -> tuple[bytes, Headers]:
    """Return value and headers of a block."""
    value = b"" if block.batch is None else _ipc(block.batch)
    fields = [
        ("magic", MAGIC),
        ("kind", block.kind.value.encode()),
        ("model", block.model.encode()),
        ("model_version", block.model_version.encode()),
        ("config_version", b"%d" % block.stamp.config_version),
        ("config_hash", block.stamp.config_hash.encode()),
        ("horizon_ms", b"%d" % block.stamp.horizon_ms),
        ("id_key", block.stamp.id_key.encode()),
        ("rows", b"%d" % block.rows),
    ]
    if block.halt is not None:
        fields.append(("halt", encode_halt(block.halt)))
    if block.news is not None:
        fields.append(("news", encode_news(block.news)))
    if block.chain is not None:
        fields += [
            ("shard", b"%d" % block.chain.shard),
            ("seq", b"%d" % block.chain.seq),
            ("prev", b"%d" % block.chain.prev),
            ("fold", b"%d" % block.chain.fold),
        ]
    fields.append(("crc32c", b"%08x" % _checksum(value, fields)))
    return value, tuple(fields)


def decode(record: Record) -> Block:
    """Return the block of a record.

    Raises:
        Corrupt: no valid envelope (magic, headers, checksum, row count). Offsets here are trusted, so this stops.
        Newer: a later release wrote it, in another codec or by another fold.
    """
    headers = dict(record.headers)
    where = f"{record.topic}-{record.partition}@{record.offset}"
    try:
        if headers["magic"] != MAGIC:
            if (version_after(_NAME, headers["magic"]) or 0) > CODEC:
                raise Newer(f"{where}: codec {headers['magic']!r}, this release reads {MAGIC!r}: start the later one")
            raise Corrupt(f"{where}: codec {headers['magic']!r}, this release reads {MAGIC!r}")
        *fields, (last, crc) = record.headers
        value = record.value or b""
        if last != "crc32c" or int(crc, 16) != _checksum(value, fields):
            raise Corrupt(f"{where}: checksum differs")
        block = Block(
            kind=BlockKind(headers["kind"].decode()),
            model=headers["model"].decode(),
            model_version=headers["model_version"].decode(),
            stamp=Stamp(
                int(headers["config_version"]),
                headers["config_hash"].decode(),
                int(headers["horizon_ms"]),
                headers["id_key"].decode(),
            ),
            batch=_batch(value) if value else None,
            chain=_chain(headers),
            halt=decode_halt(headers["halt"]) if "halt" in headers else None,
            news=decode_news(headers["news"]) if "news" in headers else None,
        )
        rows = int(headers["rows"])
    except (KeyError, ValueError, OSError, StopIteration, pa.ArrowException) as exc:
        raise Corrupt(f"{where}: not a block ({exc!r})") from exc
    if block.chain is not None and block.chain.fold > FOLD:
        raise Newer(f"{where}: of fold {block.chain.fold}, this release knows up to {FOLD}: start the later one")
    if block.rows != rows:
        raise Corrupt(f"{where}: {block.rows} rows, header says {rows}")
    return block


def _chain(headers: dict[str, bytes]) -> Chain | None:
    if "seq" not in headers:
        return None
    return Chain(int(headers["shard"]), int(headers["seq"]), int(headers["prev"]), int(headers["fold"]))


def _checksum(value: bytes, fields: list[tuple[str, bytes]]) -> int:
    crc = int(google_crc32c.value(value))
    for name, content in fields:
        crc = int(google_crc32c.extend(crc, name.encode() + b"=" + content + b"\n"))
    return crc


def _ipc(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def _batch(value: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(value) as stream:
        return stream.read_next_batch()
