"""`driftline.observations` as a receiver sees it: each output once, copies told apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from shared.events.block import Block, BlockKind, Chain, decode
from shared.log import Record


def accepted(records: Iterable[Record]) -> list[Block]:
    """Return the first copy of every output; each partition's records in order."""
    last: dict[tuple[int, int], Chain] = {}
    blocks = []
    for record in records:
        block = decode(record)
        assert block.chain is not None
        shard = (record.partition, block.chain.shard)
        before = last.get(shard, Chain(block.chain.shard, -1, -1))
        if block.chain.seq > before.seq:
            assert block.chain.follows(before.seq, before.fold)
            last[shard] = block.chain
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


def _batch(block: Block) -> pa.RecordBatch:
    assert block.batch is not None
    return block.batch
