"""The events that benchmarks are fed with."""

from __future__ import annotations

import msgspec

from services.cli.bench import loans
from services.cli.bench.logs import halves
from shared.definition import Catalogue, Definition, ModelSchema, control_records
from shared.events.block import BlockKind, decode
from shared.identity import IdKey
from shared.log import Record
from shared.topics import Topics

TOPICS = Topics()
SCHEMA = ModelSchema(
    features={**dict.fromkeys(loans.NUMERIC, "numeric"), **dict.fromkeys(loans.CATEGORICAL, "categorical")},
    classes=["0", "1"],
    scores=["score"],
)


def catalogue() -> Catalogue:
    found = Catalogue()
    definition = Definition(model=loans.MODEL, spec=loans.SPEC, schema=SCHEMA, baseline_hash="b")
    _, message = control_records(TOPICS, definition, b"")
    found.absorb(Record(TOPICS.control, 0, 0, 0, message.key, message.value))
    return found


def test_a_prediction_has_20_features_and_728_bytes() -> None:
    events = list(loans.predictions(500))

    assert {len(event) for event in events} == {loans.EVENT_BYTES}
    assert {len(msgspec.json.decode(event)["features"]) for event in events} == {20}


def test_events_are_the_same_in_every_run_and_their_ids_differ() -> None:
    events = list(loans.predictions(500))

    assert events == list(loans.predictions(500))
    assert len({msgspec.json.decode(event)["request_id"] for event in events}) == 500


def test_every_label_has_its_prediction() -> None:
    predicted = [msgspec.json.decode(event)["request_id"] for event in loans.predictions(50)]

    assert [msgspec.json.decode(event)["request_id"] for event in loans.labels(50)] == predicted


def test_halves_are_cut_into_blocks_of_the_size_asked_for() -> None:
    messages = halves(BlockKind.PREDICTION, loans.predictions(25), catalogue(), IdKey(b"k"), TOPICS, 10)

    records = [Record(m.topic, 0, 0, 0, None, m.value, m.headers) for m in messages]

    assert [decode(record).rows for record in records] == [10, 10, 5]
