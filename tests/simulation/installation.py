"""One installation in memory: its models, its log, its Redis, and the stages of its services on simulated ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from services.cli.backtest.run import Published
from services.cli.erasure import erasures
from services.cli.publication import Publication
from services.detector import partition as detector_partition
from services.detector import stage as detector_stage
from services.detector.alert_log import AlertLog
from services.detector.baseline_build import build_baseline
from services.detector.keeping import Keeping, Place
from services.detector.logged_checkpoints import LoggedCheckpoints
from services.detector.outputs import Outputs
from services.detector.partition import FoldOptions, PartitionFold
from services.detector.stage import DetectorStage, StageOptions
from services.detector.watch import Watch
from services.detector.watch_options import WatchOptions
from services.ground_truth_consumer import wire as ground_truth_consumer
from services.joiner import stage as joiner_stage
from services.joiner.fold import Fold
from services.joiner.stage import JoinerStage
from services.prediction_consumer import wire as prediction_consumer
from shared.adapters.memory import MemoryBroker
from shared.clock import Clock
from shared.definition import Catalogue, control_records
from shared.events import block as blocks
from shared.events.block import Block
from shared.identity import IdKey
from shared.ingest.limit import DeadLetterLimit
from shared.ingest.options import IngestOptions
from shared.log import Reader, Record, Writer
from shared.monitors import ModelSpec
from shared.shares import FixedShares, GroupShares, Shares, group_of
from shared.stage import Stage
from shared.topics import Topics
from tests.kit.keeping import SEAL
from tests.kit.references import hours
from tests.simulation.light_watch import LightWatch
from tests.simulation.ports import (
    SimulatedCheckpoints,
    SimulatedExclusiveWriter,
    SimulatedGroupReader,
    SimulatedReader,
    SimulatedShare,
    SimulatedView,
    SimulatedWriter,
    Surroundings,
)

Decode = Callable[[Record], Block]

TOPICS = Topics(halves_partitions=2, observations_partitions=2, alerts_partitions=1, input_partitions=2)
KEY = IdKey(b"test")
HEARTBEAT_MS = 10_000
LOGGED_SECONDS = 0.5  # between two checkpoints in the log
CHUNK_BYTES = 128
# Most of what a story writes may be refused: a jump of log time makes everything stale.
PATIENT = IngestOptions(linger_ms=100, limit=DeadLetterLimit(ratio=1.0))
HORIZONS = {"a": "12s", "b": "8s"}  # a story lasts 16 s


@cache
def publication(model: str, label_horizon: str) -> Publication:
    """Return a binary model with one feature; `b` has its ids on all shards."""
    spec = ModelSpec(
        task="binary",
        positive_class=1.0,
        reference="reference.parquet",
        label_horizon=label_horizon,
        spread=1 if model == "a" else 2,
    )
    return Publication.of(model, spec, build_baseline(model, spec, _reference()))


@cache
def _reference() -> pa.Table:
    dice = np.random.default_rng(7)
    label = dice.integers(0, 2, 3_000)
    return pa.table({"ts": hours(3_000), "x": dice.normal(size=3_000), "prediction": label, "label": label})


def published() -> list[Publication]:
    """Return everything that a story may publish."""
    return [publication(model, horizon) for model, horizon in (*HORIZONS.items(), ("a", "24s"))]


def event(kind: str, fields: dict[str, Any]) -> bytes:
    """Return the JSON of a prediction or a label."""
    usual = {"ts": "2026-01-01T00:00:00Z"} | ({"features": {"x": 0.5}} if kind == "prediction" else {})
    return msgspec.json.encode(usual | fields)


@dataclass(frozen=True)
class Parts:
    """What the services are made of; a test that takes a check away puts another part in its place."""

    joiner: type[JoinerStage] = JoinerStage
    detector: type[DetectorStage] = DetectorStage
    joins: type[Fold] = Fold
    accepts: type[PartitionFold] = PartitionFold
    view: type[SimulatedView] = SimulatedView
    ingest_writer: type[SimulatedWriter] = SimulatedWriter
    joiner_writer: type[SimulatedWriter] = SimulatedWriter
    alerts: type[AlertLog] = AlertLog
    logged: type[LoggedCheckpoints] = LoggedCheckpoints
    shares: type[GroupShares] = GroupShares


@contextmanager
def in_place(parts: Parts, decode: Decode, *, real_watch: bool) -> Iterator[None]:
    """Let the product use these parts where it names its own."""
    places: list[tuple[Any, str, Any]] = [
        (joiner_stage, "Fold", parts.joins),
        (detector_stage, "PartitionFold", parts.accepts),
        (detector_partition, "Watch", Watch if real_watch else LightWatch),
        (detector_partition, "decode", decode),
        (joiner_stage, "decode", decode),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    try:
        for module, name, part in places:
            setattr(module, name, part)
        yield
    finally:
        for module, name, part in before:
            setattr(module, name, part)


def decode_once() -> Decode:
    """Return `decode` with a memory: a story reads every record many times."""
    known: dict[int, tuple[Record, Block]] = {}

    def decode(record: Record) -> Block:
        found = known.get(id(record))
        if found is None:
            found = known[id(record)] = (record, blocks.decode(record))  # kept, so that its id is not used again
        return found[1]

    return decode


class Installation:
    """Builds stages. `services` in order of flow."""

    services = ("prediction_consumer", "ground_truth_consumer", "joiner", "detector")

    def __init__(
        self, around: Surroundings, broker: MemoryBroker, clock: Clock, parts: Parts, *, shares_out: bool
    ) -> None:
        self._around = around
        self._broker = broker
        self._clock = clock
        self._parts = parts
        self._shares_out = shares_out
        self.alerts: list[AlertLog] = []  # of every detector that ever was
        self._catalogue = Catalogue()
        broker.create(*TOPICS.specs())
        for model, horizon in HORIZONS.items():
            self.publish(model, horizon)

    def publish(self, model: str, label_horizon: str) -> None:
        """Publish a definition; services take it up at once."""
        known = publication(model, label_horizon)
        for message in control_records(TOPICS, known.definition, known.baseline):
            self._catalogue.absorb(self._broker.append(message))

    def logged(self, open_reader: Callable[[], Reader], writer: Writer) -> LoggedCheckpoints:
        """Return the checkpoints in the log."""
        return self._parts.logged(open_reader, writer, TOPICS.checkpoints, "main", chunk_bytes=CHUNK_BYTES)

    def erase(self, model: str, request_id: str) -> None:
        """Let a request be forgotten."""
        for message in erasures(self._catalogue, TOPICS, KEY, model, [request_id]):
            self._broker.append(message)

    def build(self, service: str) -> tuple[Stage, SimulatedWriter, SimulatedGroupReader | None]:
        """Return a new process's stage, the writer whose records outlive it, and its membership of a group."""
        parts, around = self._parts, self._around
        if service == "joiner":
            writer = parts.joiner_writer(around)
            shares, share = self._shares(service, TOPICS.halves, TOPICS.halves_partitions)
            joiner = parts.joiner(
                SimulatedReader(around),
                writer,
                parts.view(around),
                clock=self._clock,
                topics=TOPICS,
                key=KEY,
                shares=shares,
                confirmed_ms=around.confirmed_ms,
            )
            return joiner, writer, share
        if service == "detector":
            writer = SimulatedWriter(around)
            open_reader = partial(SimulatedReader, around)
            logged = self.logged(open_reader, writer)
            places = [Place(SimulatedCheckpoints(around)), Place(logged, LOGGED_SECONDS)]
            shares, share = self._shares(service, TOPICS.observations, TOPICS.observations_partitions)
            self.alerts.append(parts.alerts(partial(SimulatedExclusiveWriter, around), open_reader, TOPICS, "main"))
            detector = parts.detector(
                SimulatedReader(around),
                writer,
                self.alerts[-1],
                Keeping(places, SEAL, self._clock),
                Published(published()),
                self._clock,
                TOPICS,
                fold_options(),
                shares,
                StageOptions(checkpoint_seconds=1.0),
            )
            return detector, writer, share
        is_prediction = service == prediction_consumer.NAME
        wire = prediction_consumer if is_prediction else ground_truth_consumer
        member = SimulatedGroupReader(around, service, TOPICS.predictions if is_prediction else TOPICS.ground_truth)
        writer = parts.ingest_writer(around)
        stage = wire.build(member, writer, self._clock, TOPICS, self._catalogue, KEY, PATIENT)
        return stage, writer, member

    def _shares(self, service: str, topic: str, partitions: int) -> tuple[Shares, SimulatedShare | None]:
        """Return what a process has of a topic, and its membership of the group that says so."""
        if not self._shares_out:
            return FixedShares(range(partitions)), None
        share = SimulatedShare(self._around, group_of(service), topic)
        return self._parts.shares(share), share


def fold_options() -> FoldOptions:
    """Return the options of the detector's fold."""
    outputs = Outputs(TOPICS, "main")
    return FoldOptions(outputs, HEARTBEAT_MS, WatchOptions(outputs, "test"))
