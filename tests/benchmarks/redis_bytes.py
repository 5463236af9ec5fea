"""How many bytes of Redis an id takes while its label has not come: `python -m tests.benchmarks.redis_bytes`.

A binary model with one score and three segment dimensions, through the real fold and the real view.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import redis

from services.devstack.adapters.ports import with_free_port
from services.devstack.adapters.programs import find_redis
from services.devstack.adapters.redis import EmbeddedRedis
from services.devstack.ports import REDIS
from services.joiner.adapters.redis_view import RedisView
from services.joiner.fold import Fold
from services.joiner.meta import Meta
from services.joiner.shapes import Shapes
from services.joiner.words import Words
from shared.events.block import MAX_ROWS, Block, BlockKind, Stamp, decode, encode
from shared.identity import IdKey
from shared.log import Record

IDS = 100_000
TARGET_BYTES = 160

_KEY = IdKey(b"benchmark")
_LEVELS = {"s:salary_range": 5, "s:repaid_before": 2, "s:salary_range,repaid_before": 10}


class Measured(NamedTuple):
    """Bytes an id, and on what."""

    bytes_per_id: float
    server: str
    allocator: str


def measure(url: str) -> Measured:
    """Write `IDS` predictions to the Redis at `url`, which must be empty."""
    with redis.Redis.from_url(url) as client:
        before = client.info("memory")["used_memory"]
        with closing(RedisView(url, installation="bench", shards=1)) as view:
            _write(view)
        memory = client.info("memory")
        return Measured(
            bytes_per_id=(memory["used_memory"] - before) / IDS,
            server=f"Redis {client.info('server')['redis_version']}",
            allocator=memory["mem_allocator"],
        )


def _write(view: RedisView) -> None:
    meta, shapes = Meta.fresh(1), Shapes(Words())
    position = None
    for number in range(IDS // MAX_ROWS):
        fold = Fold(0, _KEY, meta, shapes, {})
        record = _record(number)
        fold.fold(record, decode(record))
        change = fold.change()
        if not view.advance(0, position, change):
            raise AssertionError("somebody else writes to this Redis")
        position = change.position


def _record(number: int) -> Record:
    draw = np.random.default_rng(number)
    scores = draw.beta(2, 5, MAX_ROWS)
    ids = [_KEY.request("car_loan", f"{number}/{row}") for row in range(MAX_ROWS)]
    columns = {
        "id": pa.array(ids, pa.binary(16)),
        "ts": pa.array(1_767_225_600_000 + number * 100_000 + np.arange(MAX_ROWS) * 50),
        "prediction": pa.array(np.where(scores > 0.5, "1", "0")).dictionary_encode(),
        "score": pa.array(scores),
        **{
            name: pa.array([f"level {level}" for level in draw.integers(0, levels, MAX_ROWS)]).dictionary_encode()
            for name, levels in _LEVELS.items()
        },
        "digest": pa.array(draw.integers(0, 2**63, MAX_ROWS, dtype=np.uint64)),
    }
    stamp = Stamp(0, "0" * 32, 90 * 86_400_000, _KEY.fingerprint)
    block = Block(BlockKind.PREDICTION, "car_loan", "v1", stamp, pa.RecordBatch.from_pydict(columns))
    value, headers = encode(block)
    return Record("driftline.halves", 0, number, 1_767_225_600_000 + number * 100_000, None, value, headers)


def main() -> None:
    """Measure on a Redis of our own and print one line."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedRedis(find_redis(os.environ).path, Path(folder))
        try:
            port = with_free_port(0, REDIS, server.start)
            measured = measure(f"redis://127.0.0.1:{port}/0")
        finally:
            server.kill()
    sys.stdout.write(
        f"{measured.bytes_per_id:.0f} bytes of Redis a pending id (at most {TARGET_BYTES} are promised), "
        f"{IDS} ids, {measured.server}, {measured.allocator}\n"
    )


if __name__ == "__main__":
    main()
