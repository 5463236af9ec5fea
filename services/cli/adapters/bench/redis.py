"""How many bytes of Redis an id takes while its label has not come.

A binary model with one score and three segment dimensions, through the real fold and the real view.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial

import numpy as np
import pyarrow as pa
import redis

from services.cli.bench.figure import Figure, Measure, Place
from services.joiner.adapters.redis_view import RedisView
from services.joiner.fold import Fold
from services.joiner.meta import Meta
from services.joiner.shapes import Shapes
from services.joiner.words import Words
from shared.access import RedisAccess
from shared.adapters.redis import connect
from shared.events.block import MAX_ROWS, Block, BlockKind, Stamp, decode, encode
from shared.identity import IdKey
from shared.log import Record

_KEY = IdKey(b"benchmark")
_LEVELS = {"s:salary_range": 5, "s:repaid_before": 2, "s:salary_range,repaid_before": 10}


class RedisBench:
    """Bytes an id."""

    needs_stack = True
    figures = (
        Figure(
            name="redis.pending_id",
            unit="bytes",
            what="memory of Redis per id that waits for its label",
            limit=160.0,
        ),
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Connect."""
        with connect(place.settings.redis) as client:
            yield partial(_measure, client, place.settings.redis, place.events // MAX_ROWS)


BENCH = RedisBench()


def _measure(client: redis.Redis, access: RedisAccess, blocks: int) -> Mapping[str, float]:
    before = client.info("memory")["used_memory"]
    with closing(RedisView(access, installation=uuid.uuid4().hex, shards=1)) as view:
        _write(view, blocks)
        after = client.info("memory")["used_memory"]
        client.flushdb()
    return {"redis.pending_id": (after - before) / (blocks * MAX_ROWS)}


def _write(view: RedisView, blocks: int) -> None:
    meta, shapes = Meta.fresh(1), Shapes(Words())
    position = None
    for number in range(blocks):
        fold = Fold(0, _KEY, meta, shapes, {})
        record = _record(number)
        fold.fold(record, decode(record))
        change = fold.change()
        if not view.advance(0, position, change):
            raise AssertionError("somebody else writes to this view")
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
