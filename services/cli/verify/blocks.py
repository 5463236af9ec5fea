"""Blocks by what they say: headers and decoded columns, since Arrow may write the same rows in other bytes."""

from __future__ import annotations

import pyarrow as pa

from shared.errors import Corrupt
from shared.events.block import Block, Chain, decode, encode
from shared.log import Record


def chain_of(record: Record) -> Chain:
    """Return where an observation stands, without decoding its rows.

    Raises:
        Corrupt: the headers do not say.
    """
    headers = dict(record.headers)
    try:
        return Chain(int(headers["shard"]), int(headers["seq"]), int(headers["prev"]), int(headers["fold"]))
    except (KeyError, ValueError) as exc:
        raise Corrupt(f"{record.topic}-{record.partition}@{record.offset}: no place in a shard's outputs") from exc


def difference(expected: Block, record: Record) -> str:
    """Return how a record differs from the block that it should be, in words; empty where it does not.

    `expected` has the place that the record claims: who compares has looked at that already.
    """
    value, headers = encode(expected)
    if (record.value or b"", record.headers) == (value, headers):
        return ""
    try:
        found = decode(record)
    except Corrupt as exc:
        return str(exc)
    for name in ("kind", "model", "model_version", "stamp", "chain"):
        wanted, given = getattr(expected, name), getattr(found, name)
        if wanted != given:
            return f"{name} is {given}, not {wanted}"
    return _of_batches(expected.batch, found.batch)


def _of_batches(expected: pa.RecordBatch | None, found: pa.RecordBatch | None) -> str:
    if expected is None or found is None:
        return "" if expected is found else f"has {'no rows' if found is None else 'rows'}"
    if expected.schema.names != found.schema.names:
        return f"columns are {', '.join(found.schema.names)}, not {', '.join(expected.schema.names)}"
    if expected.num_rows != found.num_rows:
        return f"has {found.num_rows} rows, not {expected.num_rows}"
    for name, wanted, given in zip(expected.schema.names, expected.columns, found.columns, strict=True):
        if wanted.type != given.type:
            return f"column {name} is {given.type}, not {wanted.type}"
        # Texts of values: NaN equals NaN, and -0.0 is not 0.0.
        pairs = zip(map(repr, wanted.to_pylist()), map(repr, given.to_pylist()), strict=True)
        for row, (one, other) in enumerate(pairs):
            if one != other:
                return f"column {name} of row {row} is {other}, not {one}"
    return ""
