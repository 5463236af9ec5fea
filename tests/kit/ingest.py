"""Both ingest services on a log in memory, and events that are right until a test says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from services.ground_truth_consumer import wire as ground_truth_consumer
from services.prediction_consumer import wire as prediction_consumer
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.definition import Catalogue, Definition, ModelSchema, control_records
from shared.events.block import Block, BlockKind, decode
from shared.events.dead_letter import DeadLetter
from shared.failpoints import Failpoints
from shared.identity import IdKey
from shared.ingest.intake import Intake
from shared.ingest.options import IngestOptions
from shared.ingest.stage import IngestStage
from shared.log import Headers, Outgoing, Record
from shared.monitors import FeatureSpec, ModelSpec
from shared.topics import Topics
from shared.values import format_ts

KEY = IdKey(b"test")
NOW = 1_750_000_000_000
TOPICS = Topics(halves_partitions=2, input_partitions=2)
AT_ONCE = IngestOptions(linger_ms=0)


def loan(**changes: Any) -> Definition:
    """Return a binary model with a bounded numeric feature, a categorical one, and a dimension that is no feature."""
    spec = ModelSpec(
        task="binary",
        reference="loan.parquet",
        positive_class=1.0,
        segments=["salary", "region"],
        label_horizon="10d",
        features={"age": FeatureSpec(min=0.0, max=120.0)},
        **changes,
    )
    schema = ModelSchema(features={"age": "numeric", "salary": "categorical"}, classes=["0", "1"], scores=["score"])
    return Definition(model="loan", spec=spec, schema=schema, baseline_hash="b0")


def animals() -> Definition:
    """Return a multiclass model."""
    schema = ModelSchema(
        features={"legs": "numeric"}, classes=["cat", "dog", "emu"], scores=["score:cat", "score:dog", "score:emu"]
    )
    return Definition(
        model="animals", spec=ModelSpec(task="multiclass", reference="a.csv"), schema=schema, baseline_hash="b1"
    )


def price() -> Definition:
    """Return a regression."""
    schema = ModelSchema(features={"size": "numeric"}, classes=[], scores=[])
    return Definition(
        model="price", spec=ModelSpec(task="regression", reference="p.csv"), schema=schema, baseline_hash="b2"
    )


def feed() -> Definition:
    """Return a model that ranks."""
    schema = ModelSchema(features={"age": "numeric"}, classes=[], scores=[])
    return Definition(
        model="feed", spec=ModelSpec(task="ranking", reference="f.csv"), schema=schema, baseline_hash="b3"
    )


def publish(catalogue: Catalogue, *definitions: Definition, offset: int = 0) -> None:
    """Let the catalogue absorb definitions, at ascending offsets of the control topic."""
    for place, definition in enumerate(definitions, offset):
        _, message = control_records(TOPICS, definition, b"")
        catalogue.absorb(Record(TOPICS.control, 0, place, NOW, message.key, message.value))


def catalogue_of(*definitions: Definition) -> Catalogue:
    catalogue = Catalogue()
    publish(catalogue, *definitions)
    return catalogue


def prediction(**changes: Any) -> dict[str, Any]:
    """Return a prediction of `loan`."""
    return {
        "request_id": "r1",
        "model": "loan",
        "model_version": "v1",
        "ts": format_ts(NOW),
        "features": {"age": 41, "salary": "low"},
        "prediction": 1,
        "scores": {"0": 0.25, "1": 0.75},
        "segments": {"region": "north"},
        **changes,
    }


def label(**changes: Any) -> dict[str, Any]:
    """Return a label of `loan`."""
    return {"request_id": "r1", "model": "loan", "ts": format_ts(NOW), "label": 1, **changes}


def encoded(event: object) -> bytes:
    return event if isinstance(event, bytes) else msgspec.json.encode(event)


@dataclass(slots=True)
class Ingest:
    """One service, what goes in and what comes out."""

    kind: BlockKind
    clock: ManualClock
    broker: MemoryBroker
    catalogue: Catalogue
    stage: IngestStage
    options: IngestOptions

    @property
    def input(self) -> str:
        return TOPICS.predictions if self.kind is BlockKind.PREDICTION else TOPICS.ground_truth

    def write(self, *events: object, partition: int = 0, ts_ms: int = NOW, headers: Headers = ()) -> None:
        for event in events:
            value = None if event is None else encoded(event)
            self.broker.append(Outgoing(self.input, value, partition=partition, timestamp_ms=ts_ms, headers=headers))

    def take(self, *events: object) -> None:
        """Write events and let the service work until nothing happens."""
        self.write(*events)
        while self.stage.step(0.0):
            pass

    def restart(self, failpoints: Failpoints | None = None) -> None:
        """Start another process of the same group; the one before was killed."""
        self.stage._reader.close()
        self.stage = _stage(self.kind, self.broker, self.clock, self.catalogue, self.options, failpoints)

    def committed(self, partition: int = 0) -> int:
        """Return the first offset that another member would read."""
        self.stage._reader.close()
        found = [
            records.offsets[0]
            for records in self.broker.group_reader("g", self.input).poll(10**6, 0)
            if records.source.partition == partition
        ]
        return min(found, default=-1)

    @property
    def blocks(self) -> list[Block]:
        blocks = [decode(record) for record in self.broker.records(TOPICS.halves)]
        return [block for block in blocks if block.kind is not BlockKind.TICK]

    @property
    def ticks(self) -> list[int]:
        """Return the partitions of all ticks."""
        records = self.broker.records(TOPICS.halves)
        return [record.partition for record in records if decode(record).kind is BlockKind.TICK]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for block in self.blocks for row in batch_of(block).to_pylist()]

    @property
    def placed(self) -> dict[bytes, int]:
        """Return the partition of each id."""
        records = self.broker.records(TOPICS.halves)
        return {row["id"]: record.partition for record in records for row in batch_of(decode(record)).to_pylist()}

    @property
    def letters(self) -> list[DeadLetter]:
        records = self.broker.records(TOPICS.dead_letters)
        return [msgspec.json.decode(record.value or b"", type=DeadLetter) for record in records]

    @property
    def reasons(self) -> list[str]:
        return [letter.reason for letter in self.letters]

    def seen(self, model: str = "loan") -> dict[str, int]:
        return {what: times for (name, what), times in self.stage.counts.items() if name == model}


def batch_of(block: Block) -> pa.RecordBatch:
    assert block.batch is not None
    return block.batch


def ingest(
    kind: BlockKind,
    definitions: Sequence[Definition] = (),
    options: IngestOptions = AT_ONCE,
    failpoints: Failpoints | None = None,
) -> Ingest:
    clock = ManualClock(NOW)
    broker = MemoryBroker(clock)
    broker.create(*TOPICS.specs())
    catalogue = catalogue_of(*(definitions or (loan(), animals(), price(), feed())))
    stage = _stage(kind, broker, clock, catalogue, options, failpoints)
    return Ingest(kind, clock, broker, catalogue, stage, options)


def predictions(
    *definitions: Definition, options: IngestOptions = AT_ONCE, failpoints: Failpoints | None = None
) -> Ingest:
    """Return prediction_consumer."""
    return ingest(BlockKind.PREDICTION, definitions, options, failpoints)


def labels(*definitions: Definition, options: IngestOptions = AT_ONCE) -> Ingest:
    """Return ground_truth_consumer."""
    return ingest(BlockKind.LABEL, definitions, options)


def intakes(catalogue: Catalogue, topics: Topics = TOPICS) -> dict[BlockKind, Intake]:
    """Return what a backtest feeds."""
    return {
        BlockKind.PREDICTION: prediction_consumer.intake(topics, catalogue, KEY),
        BlockKind.LABEL: ground_truth_consumer.intake(topics, catalogue, KEY),
    }


def _stage(
    kind: BlockKind,
    broker: MemoryBroker,
    clock: ManualClock,
    catalogue: Catalogue,
    options: IngestOptions,
    failpoints: Failpoints | None,
) -> IngestStage:
    is_prediction = kind is BlockKind.PREDICTION
    build = prediction_consumer.build if is_prediction else ground_truth_consumer.build
    topic = TOPICS.predictions if is_prediction else TOPICS.ground_truth
    return build(broker.group_reader("g", topic), broker.writer(), clock, TOPICS, catalogue, KEY, options, failpoints)
