"""The whole pipeline in one process: every service over one log in memory, each of which may die at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any

import msgspec

from services.cli.publication import Publication, configured
from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from services.detector.alert_log import AlertLog
from services.detector.baseline_build import build_baseline
from services.detector.definitions import ControlDefinitions
from services.detector.hashed_reference import with_hashes
from services.detector.outputs import Outputs
from services.detector.partition import FoldOptions
from services.detector.report import CohortRow
from services.detector.stage import DetectorStage, StageOptions
from services.detector.watch_options import WatchOptions
from services.ground_truth_consumer import wire as ground_truth_consumer
from services.joiner.adapters.memory_view import MemoryView
from services.joiner.meta import Counters, summary
from services.joiner.stage import JoinerStage
from services.notifier.adapters.memory_books import MemoryBooks
from services.notifier.routing import Routes
from services.notifier.stage import NotifierStage
from services.prediction_consumer import wire as prediction_consumer
from services.retrain_trigger.stage import RetrainStage
from services.retrain_trigger.wiring import retrainable
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.definition import Catalogue, control_records
from shared.durations import UNITS_MS
from shared.events.alert import Alert, Incident, IncidentEvent, decode_alert
from shared.events.block import Block, BlockKind
from shared.events.dead_letter import DeadLetter
from shared.events.retraining import Retraining, RetrainingEvent
from shared.failpoints import Died, Failpoints
from shared.feed import Feed
from shared.identity import IdKey
from shared.ingest.limit import DeadLetterLimit
from shared.ingest.options import IngestOptions
from shared.ingest.stage import IngestStage
from shared.log import GroupReader, Outgoing, Record
from shared.measures import Measure
from shared.monitors import ModelSpec, Monitors
from shared.runtime import drain
from shared.shares import FixedShares
from shared.stage import Stage
from shared.topics import Topics
from shared.values import format_ts
from tests.kit.keeping import keeping
from tests.kit.notifying import Heard, Receivers
from tests.kit.observations import accepted, rows
from tests.kit.references import loans
from tests.kit.retraining import ACCEPT, Orchestrator

KEY = IdKey(b"test")
NOW = 1_750_000_000_000
URL = "http://orchestrator/retrain"
# All that is written may be refused: what a service does then has tests of its own.
PATIENT = IngestOptions(linger_ms=0, limit=DeadLetterLimit(ratio=1.0))


class Pipeline:
    """Write events, let the services `run` until nothing happens, and look at what they wrote.

    Every model has the reference of `tests.kit.references.loans`. fail: places where services die on their way, each
    once; `deaths` names those that did.
    """

    def __init__(
        self, monitors: Monitors, *, halves_partitions: int = 2, observations_partitions: int = 2, fail: str = ""
    ) -> None:
        self.topics = Topics(halves_partitions=halves_partitions, observations_partitions=observations_partitions)
        self.clock = ManualClock(NOW)
        self.broker = MemoryBroker(self.clock)
        self.broker.create(*self.topics.specs())
        self.orchestrator = Orchestrator({URL: ACCEPT})
        self.channel = Heard()
        self.books = MemoryBooks()
        self.deaths: list[str] = []
        self._failpoints = Failpoints(fail)
        self._monitors = monitors
        self.catalogue = Catalogue()
        for publication in publications(monitors):
            self.publish(publication)
        self.view, self.checkpoints = MemoryView(), MemoryCheckpoints()
        self._members: dict[str, GroupReader] = {}
        self._builds: dict[str, Callable[[], Stage]] = {
            "prediction_consumer": partial(self._consumer, prediction_consumer.NAME),
            "ground_truth_consumer": partial(self._consumer, ground_truth_consumer.NAME),
            "joiner": self._joiner,
            "detector": self._detector,
            "retrain_trigger": self._retrain_trigger,
            "notifier": self._notifier,
        }
        self.services = tuple(self._builds)
        self._stages = {name: build() for name, build in self._builds.items()}

    def publish(self, publication: Publication) -> None:
        """Publish a definition; running services take it up at once."""
        for message in control_records(self.topics, publication.definition, publication.baseline):
            self.catalogue.absorb(self.broker.append(message))

    def predict(self, **fields: Any) -> None:
        """Write a prediction; what is not said is as usual."""
        self.raw_prediction(msgspec.json.encode(prediction(**fields)))

    def label(self, **fields: Any) -> None:
        """Write a label; what is not said is as usual."""
        self.raw_label(msgspec.json.encode(label(**fields)))

    def raw_prediction(self, value: bytes) -> None:
        """Write a record to `predictions`."""
        self.broker.append(Outgoing(self.topics.predictions, value, partition=0))

    def raw_label(self, value: bytes) -> None:
        """Write a record to `ground-truth`."""
        self.broker.append(Outgoing(self.topics.ground_truth, value, partition=0))

    def run(self, *services: str) -> None:
        """Let these services, or all, work until nothing happens; who dies has a successor at once."""
        while True:
            try:
                drain([self._stages[name] for name in services or self.services])
            except Died as death:
                self.deaths.append(str(death))
                self.kill(str(death).partition(".")[0])
            else:
                return

    def measures(self, service: str) -> Iterable[Measure]:
        """Return what a service shows of itself."""
        return self._stages[service].measures()

    def pass_time(self, seconds: float) -> None:
        """Let the time of all clocks pass."""
        self.clock.sleep(seconds)

    def kill(self, *services: str) -> None:
        """Put new processes in the place of these, which had no time to say goodbye."""
        for name in services:
            if name in self._members:
                self._members[name].close()  # the broker gives up a member that does not answer
            self._stages[name] = self._builds[name]()

    @property
    def observations(self) -> list[Block]:
        """Return every observation once."""
        return accepted(self.broker.records(self.topics.observations))

    def rows(self, kind: BlockKind) -> list[dict[str, Any]]:
        """Return the observed rows of one kind."""
        return rows(self.observations, kind)

    def counters(self, model: str) -> Counters:
        """Return what the joiner counted of a model."""
        total = dict.fromkeys(Counters.__struct_fields__, 0)
        for shard in range(self.topics.halves_partitions):
            counted = summary(self.view.load(shard).meta).get(model, Counters())
            total = {name: times + getattr(counted, name) for name, times in total.items()}
        return Counters(**total)

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """Return what was refused, in order."""
        records = self.broker.records(self.topics.dead_letters)
        return [msgspec.json.decode(record.value or b"", type=DeadLetter) for record in records]

    @property
    def alert_records(self) -> list[Record]:
        """Return the alerts as they were written."""
        return self.broker.records(self.topics.alerts)

    @property
    def alerts(self) -> dict[str, Alert]:
        """Return every alert once, by its id."""
        return {alert.id: alert for alert in (decode_alert(record.value) for record in self.alert_records)}

    @property
    def incidents(self) -> list[tuple[IncidentEvent, Incident]]:
        """Return the incidents' events."""
        return [(alert.type, alert.data) for alert in self.alerts.values() if isinstance(alert.data, Incident)]

    @property
    def retrainings(self) -> list[Retraining]:
        """Return decisions and outcomes, in order."""
        records = self.broker.records(self.topics.retraining)
        return [msgspec.json.decode(record.value or b"", type=RetrainingEvent).data for record in records]

    @property
    def cohorts(self) -> list[CohortRow]:
        """Return what labels say of each full cohort."""
        detector = self._stages["detector"]
        assert isinstance(detector, DetectorStage)
        folds = detector.folds.values()
        return [row for fold in folds for watch in fold.watches.values() for row in watch.cohort_rows(fold.log_time)]

    def _consumer(self, name: str) -> IngestStage:
        is_prediction = name == prediction_consumer.NAME
        build = prediction_consumer.build if is_prediction else ground_truth_consumer.build
        topic = self.topics.predictions if is_prediction else self.topics.ground_truth
        reader = self._members[name] = self.broker.group_reader(name, topic)
        return build(
            reader, self.broker.writer(), self.clock, self.topics, self.catalogue, KEY, PATIENT, self._failpoints
        )

    def _joiner(self) -> JoinerStage:
        return JoinerStage(
            self.broker.reader(),
            self.broker.writer(),
            self.view,
            clock=self.clock,
            topics=self.topics,
            key=KEY,
            shares=FixedShares(range(self.topics.halves_partitions)),
            failpoints=self._failpoints,
        )

    def _detector(self) -> DetectorStage:
        outputs = Outputs(self.topics, "main")
        return DetectorStage(
            self.broker.reader(),
            self.broker.writer(),
            AlertLog(self.broker.exclusive_writer, self.broker.reader, self.topics, "main"),
            keeping(self.checkpoints, clock=self.clock),
            ControlDefinitions(lambda: self.catalogue),
            self.clock,
            self.topics,
            FoldOptions(outputs, UNITS_MS["h"], WatchOptions(outputs, "test")),
            FixedShares(range(self.topics.observations_partitions)),
            StageOptions(),
            failpoints=self._failpoints,
        )

    def _retrain_trigger(self) -> Feed:
        stage = RetrainStage(
            topics=self.topics,
            models=retrainable(self._monitors),
            reader=self.broker.reader(),
            writer=self.broker.writer(),
            http=self.orchestrator,
            clock=self.clock,
            source="/driftline/main/retrain_trigger",
            failpoints=self._failpoints,
        )
        return Feed(stage, self.broker.reader())

    def _notifier(self) -> Feed:
        stage = NotifierStage(
            topics=self.topics,
            routes=Routes(self._monitors.notify),
            channels={"log": self.channel},
            books=self.books,
            courier=Receivers(),
            reader=self.broker.reader(),
            writer=self.broker.writer(),
            clock=self.clock,
            failpoints=self._failpoints,
        )
        return Feed(stage, self.broker.reader())


def findings(pipeline: Pipeline) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Return each incident as everyone must find it who sees the same events: model, version, kind, culprits."""
    last = {data.incident_id: data for _, data in pipeline.incidents}
    return sorted(
        (data.model, data.model_version, data.kind.value, tuple(sorted(c.feature for c in data.culprits)))
        for data in last.values()
    )


def prediction(**fields: Any) -> dict[str, Any]:
    """Return a prediction of the model `loan`."""
    return {
        "request_id": "r1",
        "model": "loan",
        "model_version": "v1",
        "ts": format_ts(NOW),
        "features": {"amount": 3_000.0, "term": 24, "region": "north", "repaid_before": True},
        "prediction": 1,
        "scores": {"0": 0.1, "1": 0.9},
        "segments": {"channel": "web"},
        **fields,
    }


def label(**fields: Any) -> dict[str, Any]:
    """Return a label of the model `loan`."""
    return {"request_id": "r1", "model": "loan", "ts": format_ts(NOW), "label": 1, **fields}


def traffic(rows: int, *, first: int = 0, **replaced: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return predictions and their labels, an hour apart, as the reference has them; `replaced` features differ."""
    found = []
    for number, row in enumerate(loans(rows, seed=first + 1).to_pylist(), first):
        features = {name: row[name] for name in ("amount", "term", "region", "repaid_before")} | replaced
        fields = {"request_id": f"r{number}", "ts": format_ts(NOW + number * UNITS_MS["h"])}
        scores = {"0": row["score_0"], "1": row["score_1"]}
        segments = {"channel": row["seg_channel"]}
        predicted = prediction(
            **fields, features=features, prediction=row["prediction"], scores=scores, segments=segments
        )
        found.append((predicted, label(**fields, label=row["label"])))
    return found


def monitored(**models: Mapping[str, Any]) -> Monitors:
    """Return a configuration of binary models."""
    return msgspec.convert(
        {
            "models": {
                name: {
                    "task": "binary",
                    "positive_class": 1,
                    "reference": "loans.parquet",
                    "segments": ["channel"],
                    "label_horizon": "60d",
                    **spec,
                }
                for name, spec in models.items()
            },
            "notify": [{"to": "log"}],
        },
        Monitors,
    )


def publications(monitors: Monitors) -> list[Publication]:
    """Return what a configuration publishes."""
    return [_publication(name, msgspec.json.encode(spec)) for name, spec in monitors.models.items()]


@cache
def _publication(model: str, spec: bytes) -> Publication:
    decoded = msgspec.json.decode(spec, type=ModelSpec)
    return configured(
        model, decoded, lambda name, wanted: build_baseline(name, wanted, with_hashes(name, wanted, loans(), KEY))
    )
