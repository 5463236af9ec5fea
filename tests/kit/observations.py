"""`driftline.observations` as a receiver sees it: each output once, copies told apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from shared.events.block import Block, BlockKind, decode
from shared.log import Record


def accepted(records: Iterable[Record]) -> list[Block]:
    """Return the first copy of every output; each partition's records in order."""
    last: dict[tuple[int, int], int] = {}
    blocks = []
    for record in records:
        block = decode(record)
        assert block.chain is not None
        chain = (record.partition, block.chain.shard)
        if block.chain.seq > last.get(chain, -1):
            assert block.chain.prev == last.get(chain, -1)
            last[chain] = block.chain.seq
            blocks.append(block)
    return blocks


def copies(records: Iterable[Record]) -> int:
    """Return how many rows were written again."""
    found = list(records)
    return sum(decode(record).rows for record in found) - sum(block.rows for block in accepted(found))


def rows(blocks: Iterable[Block], kind: BlockKind) -> list[dict[str, Any]]:
    """Return the rows of one kind, with their model and version."""
    return [
        {"model": block.model, "model_version": block.model_version, **row}
        for block in blocks
        if block.kind is kind
        for row in _batch(block).to_pylist()
    ]


def content(blocks: Iterable[Block]) -> list[tuple[object, ...]]:
    """Return blocks as values that compare: headers and decoded columns, not Arrow's bytes."""
    return [
        (
            block.kind,
            block.model,
            block.model_version,
            block.stamp,
            block.chain,
            None if block.batch is None else _comparable(block.batch),
        )
        for block in blocks
    ]


def _comparable(batch: pa.RecordBatch) -> dict[str, tuple[str, list[str]]]:
    """Return each column's type and the text of its values: NaN equals NaN, 1 differs from 1.0."""
    columns = zip(batch.schema.names, batch.columns, strict=True)
    return {name: (str(column.type), list(map(repr, column.to_pylist()))) for name, column in columns}


def _batch(block: Block) -> pa.RecordBatch:
    assert block.batch is not None
    return block.batch
