"""Labels that came after the horizon, counted from the files: what live only a counter can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec
import pyarrow as pa

from services.cli.backtest.lines import Line
from shared.events.block import ID, TS, Block, BlockKind, decode
from shared.identity import IdKey
from shared.log import Record
from shared.unreadable import UNREADABLE

CohortKey = tuple[str, str, str, int]  # model, model version, segment, first row


class _Named(msgspec.Struct, frozen=True):
    request_id: str
    model: str


class _Served(NamedTuple):
    ts_ms: int
    cohorts: tuple[CohortKey, ...]


Cells = Callable[[Block], list[list[tuple[str, int]]]]
"""Return for a served block each row's (segment, rows of its cohorts)."""


def late_labels(
    observations: Iterable[Record], lines: Iterable[Line], horizons: Mapping[str, int], key: IdKey, cells: Cells
) -> Counter[CohortKey]:
    """Return how many predictions had their first label after the horizon, by the cohort of the prediction."""
    served = _served(observations, cells)
    late: Counter[CohortKey] = Counter()
    decoder = msgspec.json.Decoder(_Named)
    for line in lines:
        if not line.is_label:
            continue
        try:
            label = decoder.decode(line.value)
        except UNREADABLE:
            continue  # dead-lettered by the consumer
        # The first label decides: what follows it are copies and corrections.
        for prediction in served.pop(key.request(label.model, label.request_id), ()):
            if line.ts_ms - prediction.ts_ms > horizons[label.model]:
                late.update(prediction.cohorts)
    return late


def _served(observations: Iterable[Record], cells: Cells) -> dict[bytes, list[_Served]]:
    """Return every served prediction by its id."""
    found: dict[bytes, list[_Served]] = {}
    rows: Counter[tuple[str, str, str]] = Counter()
    for block, batch in _served_blocks(observations):
        ids, ts = batch.column(ID).to_pylist(), batch.column(TS).to_pylist()
        for identity, ts_ms, members in zip(ids, ts, cells(block), strict=True):
            cohorts = []
            for segment, size in members:
                series = (block.model, block.model_version, segment)
                cohorts.append((*series, rows[series] // size * size))
                rows[series] += 1
            found.setdefault(identity, []).append(_Served(ts_ms, tuple(cohorts)))
    return found


def _served_blocks(observations: Iterable[Record]) -> Iterator[tuple[Block, pa.RecordBatch]]:
    for record in observations:
        block = decode(record)
        if block.kind is BlockKind.SERVED and block.batch is not None:
            yield block, block.batch
