"""A log in memory that someone has been at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pyarrow as pa

from shared.adapters.memory import MemoryBroker
from shared.events.block import Block, Chain, decode, encode
from shared.log import Record, TopicPartition


def rewrite(broker: MemoryBroker, source: TopicPartition, change: Callable[[list[Record]], Sequence[Record]]) -> None:
    """Put other records in the place of a log's; they get its offsets, without gaps, and belong to no transaction."""
    log = broker.log(source)
    changed = change([record for record in log.records if record.offset >= 0])
    log.records[:] = [msgspec.structs.replace(record, offset=log.low + n) for n, record in enumerate(changed)]


def carrying(record: Record, block: Block) -> Record:
    """Return a record with another block in it, whole and with its checksum."""
    value, headers = encode(block)
    return msgspec.structs.replace(record, value=value, headers=headers)


def rechained(record: Record, seq: int, prev: int) -> Record:
    """Return a record that claims another place among its shard's outputs."""
    block = decode(record)
    assert block.chain is not None
    return carrying(record, block.chained(Chain(block.chain.shard, seq, prev)))


def with_column(record: Record, name: str, values: pa.Array) -> Record:
    """Return a record with another column."""
    block = decode(record)
    assert block.batch is not None
    place = block.batch.schema.get_field_index(name)
    batch = block.batch.set_column(place, name, values)
    return carrying(record, Block(block.kind, block.model, block.model_version, block.stamp, batch, block.chain))
