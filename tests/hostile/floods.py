"""Rows of many events: what is bounded stays bounded, and what is repeated changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import msgspec

from services.cli.dead_letters.replay import Replay
from services.cli.dead_letters.selection import Selection, letters
from services.detector.stage import DetectorStage
from services.joiner.meta import MAX_WAITING_LABELS
from shared.durations import UNITS_MS
from shared.errors import ConfigurationError
from shared.events.alert import Heartbeat, Unwatched
from shared.events.block import BlockKind
from shared.identity import IdKey
from shared.ingest.limit import DeadLetterLimit
from shared.ingest.options import IngestOptions
from shared.log import TopicPartition
from shared.monitors import MAX_MODELS
from shared.topics import Topics
from tests.hostile.table import refusals, row
from tests.kit.ingest import TOPICS, ingest, intakes, prediction, predictions
from tests.kit.measuring import shown
from tests.kit.pipeline import NOW, Pipeline, monitored, traffic
from tests.kit.pipeline import prediction as predicted
from tests.kit.retraining import HOUR, START, World

LOAN = monitored(loan={})
FLOOD = 1_200


def state_bytes(pipeline: Pipeline) -> int:
    detector = pipeline._stages["detector"]
    assert isinstance(detector, DetectorStage)
    return sum(len(fold.snapshot()) for fold in detector.folds.values())


def flooded(change: Mapping[str, str] | None, *, rows: int = FLOOD) -> Pipeline:
    """Return a pipeline after traffic in which these fields of `features` or `segments` never repeat."""
    pipeline = Pipeline(LOAN)
    for number, (event, _) in enumerate(traffic(rows)):
        for place, name in (change or {}).items():
            event[place] = {**event[place], name: f"user-{number}"}
        pipeline.predict(**event)
    pipeline.run()
    return pipeline


def faulted(pipeline: Pipeline) -> int:
    measured = shown(pipeline.measures("detector"))["detector_faulted_detectors"]
    assert isinstance(measured, dict)
    return int(sum(measured.values()))


@row(
    21,
    "features that nobody asked for",
    "10 rows, counted unknown_feature; one incident and heartbeats name hat, shoe_size",
)
def unknown_features() -> str:
    pipeline = Pipeline(LOAN)
    for number in range(10):
        pipeline.predict(request_id=f"r{number}", features={**predicted()["features"], "shoe_size": 46, "hat": None})
        pipeline.run()
        pipeline.pass_time(600)
    samples = shown(pipeline.measures("prediction_consumer"))["ingest_events_total"]
    assert isinstance(samples, dict)
    assert samples["loan", "unknown_feature"] == 20
    ((_, incident),) = pipeline.incidents
    beats = [alert.data for alert in pipeline.alerts.values() if isinstance(alert.data, Heartbeat)]
    named = ", ".join(one.what for one in beats[-1].not_watched if one.kind is Unwatched.FEATURE)
    assert incident.cause == f"producers send features that no configuration knows: {named}"
    rows = len(pipeline.rows(BlockKind.SERVED))
    return f"{rows} rows, counted unknown_feature; one incident and heartbeats name {named}"


@row(25, "a feature that is constant, a window of equal values", "no detector fails")
def constant() -> str:
    pipeline = Pipeline(LOAN)
    for number in range(FLOOD):
        pipeline.predict(request_id=f"r{number}")
        pipeline.label(request_id=f"r{number}")
    pipeline.run()
    assert (len(pipeline.rows(BlockKind.LABELLED)), faulted(pipeline)) == (FLOOD, 0)
    return "no detector fails"


@row(26, "categories without end", "all served, the state does not grow with them")
def categories() -> str:
    usual, endless = flooded(None), flooded({"features": "region"})
    assert len(endless.rows(BlockKind.SERVED)) == FLOOD
    assert state_bytes(endless) < 1.2 * state_bytes(usual)
    return "all served, the state does not grow with them"


@row(27, "segment values without end", "all served, cells at their cap")
def segments() -> str:
    endless = flooded({"segments": "channel"})
    counted = shown(endless.measures("detector"))
    found, cap = counted["detector_new_cells"], counted["detector_new_cells_limit"]
    assert isinstance(found, dict)
    assert isinstance(cap, dict)
    assert len(endless.rows(BlockKind.SERVED)) == FLOOD
    assert 0 < max(found.values()) <= max(cap.values())
    return "all served, cells at their cap"


@row(31, "one id with another prediction, or of another model", "1 conflict, both models served")
def conflicts() -> str:
    pipeline = Pipeline(monitored(loan={}, house={}))
    pipeline.predict()
    pipeline.predict(prediction=0)
    pipeline.predict(model="house")
    pipeline.run()
    assert [pipeline.counters(model).served for model in ("loan", "house")] == [1, 1]
    return f"{pipeline.counters('loan').prediction_conflicts} conflict, both models served"


@row(32, "an id that is used again after its horizon", "a new prediction")
def again() -> str:
    pipeline = Pipeline(LOAN)
    pipeline.predict()
    pipeline.run()
    pipeline.pass_time(61 * UNITS_MS["d"] / 1_000)
    pipeline.predict(prediction=0)
    pipeline.run()
    assert pipeline.counters("loan").served == 2
    return "a new prediction"


@row(33, "labels of ids that nobody predicted", "counted, at most 1,000,000 a shard, forgotten after their horizon")
def orphans() -> str:
    pipeline = Pipeline(LOAN)
    for number in range(100):
        pipeline.label(request_id=f"x{number}")
    pipeline.run()
    for _ in range(3):
        pipeline.pass_time(61 * UNITS_MS["d"] / 1_000)
        pipeline.predict(request_id="later")
        pipeline.run()
    assert pipeline.counters("loan").unmatched_label == 100
    kept = sum(len(shard.current) + len(shard.older) for shard in pipeline.view._shards.values())
    assert kept <= 2
    return f"counted, at most {MAX_WAITING_LABELS:,} a shard, forgotten after their horizon"


@row(34, "a label before its prediction", "joined")
def label_first() -> str:
    pipeline = Pipeline(LOAN)
    pipeline.label()
    pipeline.run()
    pipeline.predict()
    pipeline.run()
    assert pipeline.counters("loan").labels_joined == 1
    return "joined"


@row(35, "a second label: the same, another one, an older one", "1 duplicate, 1 correction, 1 conflict")
def labels() -> str:
    pipeline = Pipeline(LOAN)
    pipeline.predict()
    for changes in ({"label_version": 5}, {"label_version": 5}, {"label": 0, "label_version": 6}, {"label_version": 1}):
        pipeline.label(**changes)
    pipeline.run()
    counted = pipeline.counters("loan")
    return f"{counted.label_duplicates} duplicate, {counted.corrections} correction, {counted.label_conflicts} conflict"


@row(40, "a flood from one producer", "the other partition is read in the same poll")
def flood() -> str:
    service = predictions()
    service.write(*[prediction()] * 5_000, partition=0)
    service.write(prediction(request_id="other"), partition=1)
    for _ in range(2):
        service.stage.step(0.0)
    assert {found["src_partition"] for found in service.rows} == {0, 1}
    return "the other partition is read in the same poll"


@row(41, "a partition that holds garbage alone", "halted at 200, the other partition is read")
def poisoned() -> str:
    service = predictions()
    service.write(*[b"garbage"] * 3_000, partition=0)
    service.write(prediction(), partition=1)
    service.take()
    assert list(service.stage.halted()) == [TopicPartition(TOPICS.predictions, 0)]
    assert len(service.rows) == 1
    return f"halted at {len(service.letters)}, the other partition is read"


@row(45, "the dead letters cannot be written", "stopped, and nothing is committed behind them")
def no_dead_letters() -> str:
    service = predictions()
    service.broker.delete(TOPICS.dead_letters)
    service.write(b"garbage", prediction())
    assert refusals(service.take, by=ConfigurationError) == "1 of 1 refused"
    assert service.committed() == 0
    return "stopped, and nothing is committed behind them"


@row(46, "a dead letter that is replayed twice", "one row")
def replayed_twice() -> str:
    pipeline = Pipeline(monitored(loan={}, house={}))
    hidden = pipeline.catalogue.current.pop("house")
    pipeline.kill("prediction_consumer")
    pipeline.predict(model="house")
    pipeline.run()
    pipeline.catalogue.current["house"] = hidden
    for _ in range(2):
        found = letters(pipeline.broker.reader(), pipeline.topics, Selection())
        both = intakes(pipeline.catalogue, pipeline.topics)
        Replay(pipeline.topics, both, pipeline.broker.reader(), pipeline.broker.writer(), NOW).run(found)
    pipeline.run()
    assert pipeline.counters("house").prediction_duplicates == 1
    return "one row" if pipeline.counters("house").served == 1 else "more"


@row(55, "labels of metrics without end", "at most 100 unknown models and one for the rest")
def metric_labels() -> str:
    service = ingest(BlockKind.PREDICTION, options=IngestOptions(linger_ms=0, limit=DeadLetterLimit(ratio=1.0)))
    for number in range(500):
        service.write(prediction(model=f"m{number}"), prediction(request_id=f"r{number}"))
    service.take()
    counted = shown(service.stage.measures())["ingest_events_total"]
    assert isinstance(counted, dict)
    assert len({model for model, _ in counted}) == 4 + 100 + 1 < MAX_MODELS
    return "at most 100 unknown models and one for the rest"


@row(60, "ids that collide in CRC-32", "spread by the keyed hash")
def collisions() -> str:
    chosen = [name for name in map(str, range(40_000)) if crc32(name.encode()) % 4 == 0][:4_000]
    key = IdKey(b"secret")
    identities = key.requests("loan")(chosen)
    places = [key.half_partition("loan", identity, spread=4, partitions=4) for identity in identities]
    assert all(900 < places.count(partition) < 1_100 for partition in range(4))
    return "spread by the keyed hash"


@row(61, "a storm of requests to retrain", "1 requested, 19 held")
def storm() -> str:
    world = World(cool_down="12h")
    for number in range(20):
        world.incident(f"i{number}", START + number * HOUR // 4)
    world.run()
    states = [state for _, state, _ in world.story() if state in ("requested", "held")]
    return f"{states.count('requested')} requested, {states.count('held')} held"


@row(62, "personal data in the wrong place", "neither kept nor repeated")
def personal_data() -> str:
    pipeline = Pipeline(LOAN)
    mail = "jane.doe@example.org"
    pipeline.predict(request_id=mail, comment=mail, features={**predicted()["features"], "mail": mail})
    pipeline.raw_prediction(msgspec.json.encode({"request_id": mail, "model": "loan", "features": mail}))
    pipeline.label(request_id=mail, source=mail)
    pipeline.run()
    topics = pipeline.topics
    inputs = {topics.predictions, topics.ground_truth}
    for spec in Topics().specs():
        if spec.name not in inputs:
            records = pipeline.broker.records(spec.name)
            assert not any(mail.encode() in (record.value or b"") + (record.key or b"") for record in records)
    assert pipeline.counters("loan").labels_joined == 1
    return "neither kept nor repeated"
