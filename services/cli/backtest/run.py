"""The run of a backtest: both consumers, the joiner and the detector over one merged input, in one process.

Everything but the adapters is what runs on Kafka and Redis: one halves and one observations partition, configuration
version 0, and log time is the events' own `ts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from services.cli.backtest.lines import Line
from services.cli.publication import Publication
from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from services.detector.alert_log import AlertLog
from services.detector.keeping import Keeping, Place
from services.detector.outputs import Outputs
from services.detector.partition import FoldOptions
from services.detector.report import ListSink
from services.detector.sealing import Seal
from services.detector.stage import DetectorStage, StageOptions
from services.detector.warming import WarmingWatch
from services.detector.watch import Watch
from services.detector.watch_options import WatchOptions
from services.ground_truth_consumer import wire as ground_truth
from services.joiner.adapters.memory_view import MemoryView
from services.joiner.meta import Counters, summary
from services.joiner.stage import JoinerStage
from services.prediction_consumer import wire as predictions
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.definition import Catalogue, Definition, control_records
from shared.durations import UNITS_MS
from shared.events.block import Block, BlockKind
from shared.identity import IdKey
from shared.ingest.ordered import Event, OrderedIngest
from shared.log import Record
from shared.measures import Measure
from shared.runtime import drain
from shared.shares import FixedShares
from shared.topics import Topics

TOPICS = Topics(halves_partitions=1, observations_partitions=1, alerts_partitions=1, input_partitions=1)
DRAIN_EVERY = 20_000  # lines between two rounds of the stages
INSTALLATION = "backtest"


class Published:
    """Definitions and baselines of a catalogue; in a backtest all are version 0."""

    def __init__(self, publications: Sequence[Publication]) -> None:
        self._definitions = {p.definition.hash: p.definition for p in publications}
        self._baselines = {p.definition.baseline_hash: p.baseline for p in publications}

    def definition(self, content_hash: str) -> Definition:
        """Return the definition."""
        return self._definitions[content_hash]

    def baseline(self, content_hash: str) -> bytes:
        """Return the encoded baseline."""
        return self._baselines[content_hash]

    def measures(self) -> Iterable[Measure]:
        """Return nothing: nobody looks."""
        return ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run leaves to be written."""

    alerts: Sequence[Record]
    observations: Sequence[Record]
    dead_letters: Sequence[Record]
    sink: ListSink
    watches: Mapping[tuple[str, str], Watch | WarmingWatch]
    log_time: int
    counters: Mapping[str, Counters]
    state: bytes

    def cells(self, block: Block) -> list[list[tuple[str, int]]]:
        """Return the cells of each served row as (segment, rows of its cohorts)."""
        return self.watches[block.model, block.model_version].cohort_cells(block)


def catalogue_of(publications: Sequence[Publication]) -> Catalogue:
    """Return the catalogue that services read, with every definition at version 0."""
    catalogue = Catalogue()
    for publication in publications:
        for message in control_records(TOPICS, publication.definition, publication.baseline):
            catalogue.absorb(Record(message.topic, 0, 0, 0, message.key, message.value))
    return catalogue


def fold_options(code_version: str, report_rows: int | None) -> FoldOptions:
    """Return how a backtest folds: as a service does, with a heartbeat a day, and everything exact."""
    outputs = Outputs(TOPICS, INSTALLATION)
    watch = WatchOptions(outputs, code_version, report_rows, profiles=False, exact_scores=True)
    return FoldOptions(outputs, UNITS_MS["d"], watch, watch_silence=False)


def run(
    publications: Sequence[Publication],
    lines: Sequence[Line],
    *,
    id_key: str,
    code_version: str,
    report_rows: int | None,
    progress: Callable[[int], None],
) -> Outcome:
    """Replay `lines`; `progress` is told how many were fed."""
    clock = ManualClock()
    broker = MemoryBroker(clock)
    broker.create(*TOPICS.specs())
    key = IdKey(id_key.encode())
    catalogue = catalogue_of(publications)
    halves = broker.writer()
    ingest = OrderedIngest(
        {
            BlockKind.PREDICTION: predictions.intake(TOPICS, catalogue, key),
            BlockKind.LABEL: ground_truth.intake(TOPICS, catalogue, key),
        },
        halves,
        TOPICS,
    )
    view, sink, one = MemoryView(), ListSink(), FixedShares([0])
    joiner = JoinerStage(broker.reader(), broker.writer(), view, clock=clock, topics=TOPICS, key=key, shares=one)
    detector = DetectorStage(
        broker.reader(),
        broker.writer(),
        AlertLog(broker.exclusive_writer, broker.reader, TOPICS, INSTALLATION),
        Keeping([Place(MemoryCheckpoints())], Seal(code_version), clock),
        Published(publications),
        clock,
        TOPICS,
        fold_options(code_version, report_rows),
        one,
        StageOptions(),
        sink=sink,
    )
    events = _events(lines)
    for fed in range(DRAIN_EVERY, len(lines), DRAIN_EVERY):
        ingest.feed([*islice(events, DRAIN_EVERY)])
        halves.flush()
        drain([joiner, detector])
        progress(fed)
    ingest.feed([*events])
    ingest.flush()
    halves.flush()
    drain([joiner, detector])
    progress(len(lines))
    fold = detector.folds[0]
    return Outcome(
        alerts=broker.records(TOPICS.alerts),
        observations=broker.records(TOPICS.observations),
        dead_letters=broker.records(TOPICS.dead_letters),
        sink=sink,
        watches=fold.watches,
        log_time=fold.log_time,
        counters=summary(view.load(0).meta),
        state=fold.snapshot(),
    )


def _events(lines: Sequence[Line]) -> Iterator[Event]:
    log_time = 0
    for line in lines:
        log_time = max(log_time, line.ts_ms)
        yield Event(BlockKind.LABEL if line.is_label else BlockKind.PREDICTION, line.value, log_time, line.offset)
