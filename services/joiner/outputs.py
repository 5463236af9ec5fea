"""Outputs: the Arrow blocks that a halves block becomes, rows in row order, never larger than a block may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.joiner.columns import texts
from services.joiner.entry import CLASS_LABEL, GAINS_LABEL, LABEL_RECORD, gains_of
from services.joiner.shapes import NO_LIST, Shape, Shapes
from services.joiner.words import Words
from shared.events.block import (
    DIGEST,
    ID,
    ITEMS,
    LABEL,
    LABEL_TS,
    LABEL_VERSION,
    LOG_TS,
    MAX_BYTES,
    MAX_ROWS,
    PREDICTION,
    REPLACED_LABEL,
    SERVED_ROW,
    SERVED_SEQ,
    SRC_OFFSET,
    SRC_PARTITION,
    SRC_TOPIC,
    TS,
    Block,
    BlockKind,
)
from shared.identity import ID_BYTES

_Join = tuple[bytes, bytes, bytes, bytes]  # id, prediction, label, replaced label


def rows_per_output(batch: pa.RecordBatch) -> int:
    """Return into how many rows a batch is cut, so that no piece has too many rows, or bytes on average."""
    size = int(batch.nbytes)
    if size <= MAX_BYTES:
        return MAX_ROWS
    return max(1, min(MAX_ROWS, int(batch.num_rows) * MAX_BYTES // size))


def served_blocks(block: Block, batch: pa.RecordBatch, chunks: Sequence[Sequence[int]]) -> list[Block]:
    """Return the first sights among a block's predictions; `chunks` are row numbers, one list an output."""
    kept = batch.drop_columns([name for name in (DIGEST, LOG_TS) if name in batch.schema.names])
    return [
        Block(
            BlockKind.SERVED,
            block.model,
            block.model_version,
            block.stamp,
            kept if len(rows) == batch.num_rows else kept.take(pa.array(rows, pa.int64())),
        )
        for rows in chunks
    ]


class Joins:
    """Predictions that met a label in one halves block, by what their columns are."""

    def __init__(self, kind: BlockKind) -> None:
        self._kind = kind
        self._groups: dict[tuple[bytes, bytes, bytes], list[_Join]] = {}

    def add(self, identity: bytes, part: bytes, label: bytes, replaced: bytes = b"") -> None:
        """Take one packed prediction with its packed label, and the one before in a correction."""
        group = (part[:2], label[:1], replaced[:1])
        self._groups.setdefault(group, []).append((identity, part, label, replaced))

    def blocks(self, block: Block, shapes: Shapes) -> Iterator[Block]:
        """Yield the outputs of `block`: a model version at a time, in order of their first row."""
        for (code, _, _), rows in self._groups.items():
            shape = shapes.of(int.from_bytes(code, "little"))
            batch = _joined(shape, rows, shapes.words)
            step = rows_per_output(batch)
            for first in range(0, batch.num_rows, step):
                piece = batch.slice(first, step)
                yield Block(self._kind, shape.model, shape.model_version, block.stamp, piece)


def _joined(shape: Shape, rows: Sequence[_Join], words: Words) -> pa.RecordBatch:
    ids, parts, labels, replaced = zip(*rows, strict=True)
    records = [part[: shape.width] for part in parts] if shape.is_ranking else parts
    prediction = np.frombuffer(b"".join(records), shape.layout)
    label, labelled = _labels(labels, words)
    columns = {
        ID: pa.array(ids, pa.binary(ID_BYTES)),
        TS: pa.array(prediction["ts"]),
        LABEL_TS: pa.array(label["ts"]),
        SRC_TOPIC: texts(label["topic"], words),
        SRC_PARTITION: pa.array(label["partition"].astype(np.int32)),
        SRC_OFFSET: pa.array(label["offset"].astype(np.int64)),
        LABEL: labelled,
        LABEL_VERSION: pa.array(label["version"], mask=label["versioned"] == 0),
        **_predicted(shape, prediction["prediction"], parts, words),
        **{name: pa.array(prediction["scores"][:, at].copy()) for at, name in enumerate(shape.scores)},
        **{name: texts(prediction["segments"][:, at], words) for at, name in enumerate(shape.dimensions)},
        SERVED_SEQ: pa.array(prediction["served_seq"].astype(np.int64)),
        SERVED_ROW: pa.array(prediction["served_row"].astype(np.int32)),
    }
    if replaced[0]:
        _, columns[REPLACED_LABEL] = _labels(replaced, words)
    return pa.RecordBatch.from_pydict(columns)


def _predicted(
    shape: Shape, values: NDArray[np.float64] | NDArray[np.uint16], parts: Sequence[bytes], words: Words
) -> dict[str, pa.Array]:
    if shape.is_ranking:
        items = [
            None if length == NO_LIST else part[shape.width :]
            for part, length in zip(parts, values.tolist(), strict=True)
        ]
        return {ITEMS: pa.array(items, pa.binary())}
    return {PREDICTION: pa.array(values) if shape.numeric else texts(values.astype(np.uint16), words)}


def _labels(packed: Sequence[bytes], words: Words) -> tuple[NDArray[np.void], pa.Array]:
    """Return the records of labels of one kind, and the column that they give."""
    if packed[0][0] == GAINS_LABEL:
        records, gains = zip(*map(gains_of, packed), strict=True)
        return np.frombuffer(b"".join(records), LABEL_RECORD), pa.array(gains, pa.binary())
    label = np.frombuffer(b"".join(packed), LABEL_RECORD)
    if packed[0][0] == CLASS_LABEL:
        return label, texts(label["value"].astype(np.uint16), words)
    return label, pa.array(label["value"])
