"""A small model's traffic as observations: rows drawn once, cut into blocks as a test likes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from services.cli.backtest.run import Published
from services.cli.publication import Publication
from services.detector.baseline_build import build_baseline
from services.detector.outputs import Outputs
from services.detector.partition import FoldOptions, PartitionFold
from services.detector.report import ListSink
from services.detector.structs import IntArray
from services.detector.watch import Watch
from services.detector.watch_options import WatchOptions
from shared.events.alert import Alert, Heartbeat, Incident, IncidentEvent, decode_alert
from shared.events.block import Block, BlockKind, Chain, encode
from shared.identity import ID_BYTES
from shared.log import Outgoing, Record
from shared.monitors import AlertsSpec, FeatureSpec, ModelSpec
from shared.topics import Topics
from shared.values import class_text
from tests.kit.references import HOUR_MS, loans, spec, words

MODEL = "loans"
TOPICS = Topics(halves_partitions=4, observations_partitions=2)
OUTPUTS = Outputs(TOPICS, "main")
MINUTE_MS = 60_000
START_MS = 1_700_000_000_000
# A hundred pages a month, so that drifts of a test need few rows.
SPEC = spec(segments=["channel"], alerts=AlertsSpec(false_pages_per_month=100.0), label_horizon="30d")

# The same without a reference.
WARMING = ModelSpec(
    task="binary",
    positive_class=1.0,
    classes=[0.0, 1.0],
    warm_up="7d",
    segments=["channel"],
    features={
        "amount": FeatureSpec(kind="numeric"),
        "region": FeatureSpec(kind="categorical"),
        "repaid_before": FeatureSpec(kind="categorical"),
        "term": FeatureSpec(kind="numeric"),
    },
    alerts=AlertsSpec(false_pages_per_month=100.0),
    label_horizon="30d",
)


@cache
def publication(false_pages_per_month: float = 100.0, seed: int = 7) -> Publication:
    """Return what the model's configuration publishes; `seed` draws its reference."""
    chosen = msgspec.structs.replace(SPEC, alerts=AlertsSpec(false_pages_per_month=false_pages_per_month))
    return published_as(chosen, seed)


@cache
def _baseline(seed: int) -> Any:
    return build_baseline(MODEL, SPEC, loans(seed=seed))


def published_as(chosen: ModelSpec, seed: int = 7, model: str = MODEL) -> Publication:
    """Return what another configuration, or another model's, publishes over the same reference."""
    return Publication.of(model, chosen, _baseline(seed))


def rows(count: int, seed: int = 1, *, drift_at: int | None = None, error_rate: float = 0.1) -> pa.Table:
    """Return rows like the reference's; from row `drift_at` on, `amount` is ten times as large."""
    table = loans(count, seed, error_rate)
    if drift_at is None:
        return table
    amount = table["amount"].to_numpy() * np.where(np.arange(count) < drift_at, 1.0, 10.0)
    return table.set_column(table.schema.get_field_index("amount"), "amount", pa.array(amount))


@dataclass
class Log:
    """One partition of `driftline.observations` as a joiner of one or more shards writes it."""

    table: pa.Table
    stamped: Publication = field(default_factory=publication)
    version: int = 1  # of the configuration
    model: str = MODEL
    records: list[Record] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)
    places: dict[int, tuple[int, int]] = field(default_factory=dict)  # row to seq and row of its served block
    flags: dict[str, int] = field(default_factory=dict)  # columns of flags to what they say of every row served

    def serve(self, start: int, stop: int, *, cut: int = 2_000, shard: int = 0, model_version: str = "v1") -> None:
        """Write rows as served blocks of at most `cut` rows."""
        for first, last in _cuts(start, stop, cut):
            flags = {name: pa.array([bits] * (last - first), pa.uint8()) for name, bits in self.flags.items()}
            self._write(BlockKind.SERVED, self._columns(first, last) | flags, shard, model_version)
            self.places |= {row: (self.last[shard], row - first) for row in range(first, last)}

    def label(
        self,
        start: int,
        stop: int,
        *,
        cut: int = 2_000,
        shard: int = 0,
        model_version: str = "v1",
        replaced: str | None = None,
    ) -> None:
        """Write the labels of rows served before; `replaced` makes them corrections of that label."""
        for first, last in _cuts(start, stop, cut):
            count = last - first
            columns = self._columns(first, last) | {
                "label": _texts(self.table["label"].slice(first, count)),
                "label_ts": pa.array([START_MS + row * HOUR_MS for row in range(first, last)], pa.int64()),
                "served_seq": pa.array([self.places[row][0] for row in range(first, last)], pa.int64()),
                "served_row": pa.array([self.places[row][1] for row in range(first, last)], pa.int32()),
            }
            if replaced is not None:
                columns["replaced_label"] = words(*[replaced] * count)
            kind = BlockKind.LABELLED if replaced is None else BlockKind.CORRECTED
            self._write(kind, columns, shard, model_version)

    def relabel(self, labels: IntArray) -> None:
        """Know other labels of all rows from now on."""
        self.table = self.table.set_column(self.table.schema.get_field_index("label"), "label", pa.array(labels))

    def tick(self, shard: int = 0, *, after_ms: int = MINUTE_MS) -> None:
        """Write a tick."""
        self.put(Block(BlockKind.TICK), shard, after_ms=after_ms)

    def _write(self, kind: BlockKind, columns: dict[str, pa.Array], shard: int, model_version: str) -> None:
        stamp = self.stamped.definition.stamp(self.version, "key")
        batch = pa.RecordBatch.from_pydict(columns)
        self.put(Block(kind, self.model, model_version, stamp, batch), shard)

    def put(self, block: Block, shard: int = 0, *, after_ms: int = 0) -> None:
        """Write any block as the shard's next output, `after_ms` after the record before it."""
        before = self.last.get(shard, -1)
        self.last[shard] = (len(self.records) + 1) << 16
        value, headers = encode(block.chained(Chain(shard, self.last[shard], before)))
        log_time = (self.records[-1].timestamp_ms if self.records else START_MS) + after_ms
        self.records.append(Record(TOPICS.observations, 0, len(self.records), log_time, None, value, headers))

    def _columns(self, first: int, last: int) -> dict[str, pa.Array]:
        part = self.table.slice(first, last - first)
        return {
            "id": pa.array([row.to_bytes(ID_BYTES, "big") for row in range(first, last)], pa.binary(ID_BYTES)),
            "ts": pa.array([START_MS + row * HOUR_MS for row in range(first, last)], pa.int64()),
            "src_topic": words(*["predictions"] * part.num_rows),
            "src_partition": pa.array([3] * part.num_rows, pa.int32()),
            "src_offset": pa.array(range(first, last), pa.int64()),
            "f:amount": part["amount"].combine_chunks(),
            "f:term": part["term"].cast(pa.float64()).combine_chunks(),
            "f:region": _texts(part["region"]),
            "f:repaid_before": _texts(part["repaid_before"]),
            "s:channel": _texts(part["seg_channel"]),
            "prediction": _texts(part["prediction"]),
            "score": part["score_1"].combine_chunks(),
        }


def _cuts(start: int, stop: int, cut: int) -> Iterator[tuple[int, int]]:
    return ((first, min(first + cut, stop)) for first in range(start, stop, cut))


def _texts(column: pa.ChunkedArray) -> pa.Array:
    return words(*map(class_text, column.to_pylist()))


def fold_options(report_rows: int | None = None, *, profiles: bool = False, watch_silence: bool = True) -> FoldOptions:
    """Return the options of a fold with a heartbeat a minute."""
    return FoldOptions(OUTPUTS, MINUTE_MS, WatchOptions(OUTPUTS, "test", report_rows, profiles), watch_silence)


def fold_of(*published: Publication, sink: ListSink | None = None, options: FoldOptions | None = None) -> PartitionFold:
    """Return an empty fold of partition 0."""
    known = Published(published or [publication()])
    return PartitionFold(0, known, options or fold_options(), sink or ListSink())


def folded(fold: PartitionFold, records: Iterable[Record]) -> list[Outgoing]:
    """Return what the fold gives for these records."""
    return [message for record in records for message in fold.fold(record)]


def alerts(messages: Iterable[Outgoing]) -> list[Alert]:
    """Return the alerts among messages."""
    return [decode_alert(message.value) for message in messages if message.topic == TOPICS.alerts]


def incidents(messages: Iterable[Outgoing]) -> list[tuple[IncidentEvent, Incident]]:
    """Return the incident events among messages."""
    return [(alert.type, alert.data) for alert in alerts(messages) if isinstance(alert.data, Incident)]


def heartbeats(messages: Iterable[Outgoing]) -> list[Heartbeat]:
    """Return the heartbeats among messages."""
    return [alert.data for alert in alerts(messages) if isinstance(alert.data, Heartbeat)]


def watch_of(fold: PartitionFold, model_version: str = "v1", model: str = MODEL) -> Watch:
    """Return what a fold keeps of a version."""
    watch = fold.watches[model, model_version]
    assert isinstance(watch, Watch)
    return watch


def names(culprits: Sequence[Any]) -> set[str]:
    """Return the columns of culprits."""
    return {culprit.feature for culprit in culprits}
