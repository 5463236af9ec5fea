"""A reference from `driftline.observations`: the served rows of a model, with what labels have said of them.

They are kept in memory and nowhere else, so their number is bounded: of more, the newest are taken.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from services.detector.signals.columns import is_number, lists
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import IntArray
from shared.definition import ModelSchema
from shared.events.block import (
    FEATURE_PREFIX,
    FLAG_OUT_OF_RANGE,
    FLAGS_PREFIX,
    ID,
    ITEMS,
    LABEL,
    PREDICTION,
    SCORE,
    SCORE_PREFIX,
    SEGMENT_PREFIX,
    TS,
    Block,
    BlockKind,
    Chain,
    decode,
)
from shared.log import Record
from shared.monitors import FeatureSpec, ModelSpec

MAX_ROWS = 1_000_000

_TEXT = pa.dictionary(pa.int32(), pa.string())
_LABELS = (BlockKind.LABELLED, BlockKind.CORRECTED)


@dataclass(frozen=True, slots=True)
class Range:
    """Which of a model's served rows: by their own `ts`, of one model version or of all."""

    since_ms: int | None = None  # inclusive
    until_ms: int | None = None  # exclusive
    model_version: str = ""  # empty: every version

    def holds(self, ts: IntArray) -> BoolArray:
        """Return which times lie inside."""
        inside = np.ones(ts.size, dtype=np.bool_)
        if self.since_ms is not None:
            inside &= ts >= self.since_ms
        if self.until_ms is not None:
            inside &= ts < self.until_ms
        return inside


@dataclass(slots=True)
class Kept:
    """What the log still holds of a model, inside the range or not."""

    first_ms: int | None = None
    last_ms: int | None = None
    partition: int | None = None
    versions: set[str] = field(default_factory=set)

    def saw(self, record: Record, block: Block, ts: IntArray) -> None:
        """Take the times of one block of served rows."""
        first, last = int(ts.min()), int(ts.max())
        self.first_ms = first if self.first_ms is None else min(self.first_ms, first)
        self.last_ms = last if self.last_ms is None else max(self.last_ms, last)
        self.partition = record.partition
        self.versions.add(block.model_version)


class Copies:
    """Tells outputs of the joiner that came before, each partition read in order."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, int], int] = {}  # newest sequence number, by partition and shard

    def is_one(self, record: Record, chain: Chain) -> bool:
        """Return whether a record's output came before; it has come now."""
        place = (record.partition, chain.shard)
        if chain.seq <= self._last.get(place, -1):
            return True
        self._last[place] = chain.seq
        return False


class LogReference:
    """Gathers a model's rows from the records of `driftline.observations`, each partition in order.

    schema: the columns to gather, in this order. most: rows to keep.
    """

    def __init__(
        self, model: str, spec: ModelSpec, schema: ModelSchema, wanted: Range, *, most: int = MAX_ROWS
    ) -> None:
        self.kept = Kept()
        self.found = 0  # rows of the range
        self._model = model
        self._spec = spec
        self.schema = schema
        self.wanted = wanted
        self._copies = Copies()
        self._rows: deque[pa.RecordBatch] = deque()
        self._labels: deque[pa.RecordBatch] = deque()
        self._most = most
        self._row_count = self._label_count = 0

    @property
    def rows(self) -> int:
        """Return how many rows the table will have."""
        return min(self.found, self._most)

    def take(self, record: Record) -> None:
        """Take one record; copies of an output, and other models, change nothing.

        Raises:
            Corrupt: no valid block.
        """
        block = decode(record)
        if block.chain is None or block.batch is None or block.model != self._model:
            return
        if self._copies.is_one(record, block.chain):
            return
        ts = np.asarray(block.batch.column(TS).to_numpy(zero_copy_only=False), np.int64)
        if block.kind is BlockKind.SERVED and ts.size:
            self.kept.saw(record, block, ts)
        if self.wanted.model_version not in ("", block.model_version):
            return
        inside = self.wanted.holds(ts)
        if not inside.any():
            return
        chosen = block.batch.filter(pa.array(inside))
        if block.kind is BlockKind.SERVED:
            self._serve(chosen)
        elif block.kind in _LABELS and self._is_label(chosen.column(LABEL).type):
            self._label(chosen)

    def table(self) -> pa.Table:
        """Return the rows in order of `ts`, with the columns of a reference; there is at least one row.

        `label` is there if any row has one; a score that no row has is left out.
        """
        whole = pa.Table.from_batches(list(self._rows)).unify_dictionaries().combine_chunks()
        whole = whole.slice(max(whole.num_rows - self._most, 0))
        if self._labels:
            whole = whole.append_column(LABEL, self._labels_of(whole.column(ID).to_pylist()))
        empty = [name for name in whole.column_names if _is_score(name) and _is_empty(whole.column(name))]
        ts = whole.column(TS).cast(pa.int64()).to_numpy()
        return whole.drop_columns([ID, *empty]).take(pa.array(np.argsort(ts, kind="stable")))

    @property
    def _is_regression(self) -> bool:
        return self._spec.task == "regression"

    def _is_label(self, kind: pa.DataType) -> bool:
        """Tell whether a column of labels is of the model's task, and not of an older configuration's."""
        if pa.types.is_binary(kind) or self._is_ranking:
            return self._is_ranking and bool(pa.types.is_binary(kind))
        return is_number(_values_of(kind)) == self._is_regression

    @property
    def _is_ranking(self) -> bool:
        return self._spec.task == "ranking"

    def _serve(self, batch: pa.RecordBatch) -> None:
        self._rows.append(self._as_reference(batch))
        self.found += batch.num_rows
        self._row_count += batch.num_rows
        while self._row_count - self._rows[0].num_rows >= self._most:
            self._row_count -= self._rows.popleft().num_rows

    def _label(self, batch: pa.RecordBatch) -> None:
        is_as_it_comes = self._is_regression or self._is_ranking
        label = batch.column(LABEL) if is_as_it_comes else batch.column(LABEL).cast(pa.string())
        self._labels.append(pa.RecordBatch.from_pydict({ID: batch.column(ID), LABEL: label}))
        self._label_count += batch.num_rows
        while self._label_count - self._labels[0].num_rows >= self._most:
            self._label_count -= self._labels.popleft().num_rows

    def _labels_of(self, identities: list[bytes]) -> pa.ChunkedArray:
        """Return the newest label of each prediction; null where there is none yet."""
        labels = pa.Table.from_batches(list(self._labels)).combine_chunks()
        places = {identity: place for place, identity in enumerate(labels.column(ID).to_pylist())}
        return labels.column(LABEL).take(pa.array([places.get(identity) for identity in identities], pa.int64()))

    def _as_reference(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = {ID: batch.column(ID), TS: batch.column(TS).cast(pa.timestamp("ms", tz="UTC"))}
        for name, kind in self.schema.features.items():
            source = f"{FEATURE_PREFIX}{name}"
            found = _column(batch, source, is_numeric=kind == "numeric")
            columns[f"features.{name}"] = found if kind != "numeric" else self._with_outside(name, found, batch)
        columns[PREDICTION] = _column(batch, PREDICTION, is_numeric=self._is_regression)
        if self._is_ranking:
            columns[ITEMS] = lists(batch, ITEMS)
        for name in self.schema.scores:
            columns[_score_name(name)] = _column(batch, name, is_numeric=True)
        for name in self._spec.dimensions:
            columns[f"seg_{name}"] = _column(batch, f"{SEGMENT_PREFIX}{name}", is_numeric=False)
        return pa.RecordBatch.from_pydict(columns)

    def _with_outside(self, name: str, values: pa.Array, batch: pa.RecordBatch) -> pa.Array:
        """Return numbers with one beyond the range where the consumer took one away, so that they are counted again."""
        flags = f"{FLAGS_PREFIX}{name}"
        beyond = _beyond(self._spec.features.get(name, FeatureSpec()))
        if beyond is None or flags not in batch.schema.names:
            return values
        outside = (batch.column(flags).to_numpy(zero_copy_only=False) & FLAG_OUT_OF_RANGE) != 0
        return pa.array(np.where(outside, beyond, values.to_numpy(zero_copy_only=False)))


def _beyond(given: FeatureSpec) -> float | None:
    """Return a number outside a feature's range; None where it has no range."""
    if given.max is not None:
        return float(np.nextafter(given.max, np.inf))
    return None if given.min is None else float(np.nextafter(given.min, -np.inf))


def _column(batch: pa.RecordBatch, source: str, *, is_numeric: bool) -> pa.Array:
    """Return a column; one that a block does not carry, or carries as another kind, is missing in all rows."""
    wanted = pa.float64() if is_numeric else _TEXT
    if source not in batch.schema.names or is_number(_values_of(batch.column(source).type)) != is_numeric:
        return pa.nulls(batch.num_rows, wanted)
    column = batch.column(source)
    if column.type == wanted:
        return column
    return column.cast(wanted) if is_numeric else column.cast(pa.string()).dictionary_encode()


def _values_of(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _score_name(column: str) -> str:
    return column if column == SCORE else f"score_{column.removeprefix(SCORE_PREFIX)}"


def _is_score(name: str) -> bool:
    return name == SCORE or name.startswith("score_")


def _is_empty(column: pa.ChunkedArray) -> bool:
    return bool(np.isnan(column.to_numpy().astype(np.float64)).all())
