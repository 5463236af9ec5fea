"""Model definitions and the catalogue of them."""

from __future__ import annotations

import msgspec
import pytest

from shared.adapters.memory import ManualClock, MemoryBroker
from shared.definition import (
    MAX_DEFINITIONS,
    Acceptance,
    Catalogue,
    Definition,
    ModelSchema,
    ServedRows,
    control_records,
    declared_schema,
)
from shared.errors import Corrupt
from shared.events.block import Stamp
from shared.identity import content_hash
from shared.log import Record
from shared.monitors import AlertsSpec, ModelSpec
from shared.topics import Topics

BASELINE = b"baseline bytes"
TOPICS = Topics()


def definition(model: str = "car_loan", **spec: object) -> Definition:
    return Definition(
        model=model,
        spec=msgspec.convert({"task": "regression", "reference": "r.csv", **spec}, ModelSpec),
        schema=ModelSchema(features={"age": "numeric", "region": "categorical"}, classes=[], scores=[]),
        baseline_hash=content_hash(BASELINE),
    )


def published(*definitions: Definition) -> list[Record]:
    broker = MemoryBroker(ManualClock())
    broker.create(*TOPICS.specs())
    for one in definitions:
        for message in control_records(TOPICS, one, BASELINE):
            broker.append(message)
    return broker.records(TOPICS.control)


def absorbed(*definitions: Definition) -> Catalogue:
    catalogue = Catalogue()
    for record in published(*definitions):
        catalogue.absorb(record)
    return catalogue


def test_what_was_published_is_found_by_its_hash() -> None:
    one = definition()

    catalogue = absorbed(one)

    assert catalogue.definitions == {one.hash: one}
    assert catalogue.baselines == {content_hash(BASELINE): BASELINE}
    assert catalogue.current == {"car_loan": one.hash}


def test_the_baseline_is_written_before_the_definition() -> None:
    one = definition()

    assert [record.key for record in published(one)] == [
        f"car_loan/baseline/{content_hash(BASELINE)}".encode(),
        f"car_loan/definition/{one.hash}".encode(),
    ]


def test_a_version_is_the_offset_of_its_record_and_the_last_one_counts() -> None:
    first, second = definition(), definition(label_horizon="30d")

    catalogue = absorbed(first, second)

    assert catalogue.versions == {first.hash: 1, second.hash: 3}
    assert catalogue.current == {"car_loan": second.hash}
    assert catalogue.version("car_loan") == 3


def numbered(count: int) -> list[Definition]:
    """Return definitions of one model, each with a baseline of its own."""
    return [definition(label_horizon=f"{days + 1}d") for days in range(count)]


def test_of_a_model_the_newest_definitions_are_kept_and_the_rest_is_counted() -> None:
    many, other = numbered(MAX_DEFINITIONS + 3), definition("house")

    catalogue = absorbed(other, *many, many[10])

    kept = [*many[3:], other]
    assert set(catalogue.definitions) == set(catalogue.versions) == {one.hash for one in kept}
    assert catalogue.current == {"car_loan": many[10].hash, "house": other.hash}
    assert (catalogue.fullest, catalogue.dropped) == (MAX_DEFINITIONS, 3)
    assert list(catalogue.baselines) == [content_hash(BASELINE)]


def test_what_the_current_definition_follows_is_kept_however_old() -> None:
    first, *many = numbered(MAX_DEFINITIONS + 3)
    rows = ServedRows(since="2026-01-01", until="2026-01-02", rows=1)

    catalogue = absorbed(first, *(msgspec.structs.replace(one, built_from=rows, follows=first.hash) for one in many))

    assert first.hash in catalogue.definitions
    assert (catalogue.fullest, catalogue.dropped) == (MAX_DEFINITIONS, 3)


def test_a_baseline_that_nothing_names_any_longer_goes_with_its_definition() -> None:
    first, *many = numbered(MAX_DEFINITIONS + 1)
    old = msgspec.structs.replace(first, baseline_hash=content_hash(b"old"))
    broker = MemoryBroker(ManualClock())
    broker.create(*TOPICS.specs())
    for one, baseline in ((old, b"old"), *((one, BASELINE) for one in many)):
        for message in control_records(TOPICS, one, baseline):
            broker.append(message)
    catalogue = Catalogue()
    for record in broker.records(TOPICS.control):
        catalogue.absorb(record)

    assert list(catalogue.baselines) == [content_hash(BASELINE)]


def test_models_whose_names_hold_slashes_are_kept_apart() -> None:
    catalogue = absorbed(definition("team/a"), definition("team/b"))

    assert sorted(catalogue.current) == ["team/a", "team/b"]


def test_any_change_of_the_configuration_is_another_hash() -> None:
    hashes = {
        definition().hash,
        definition(label_horizon="30d").hash,
        definition(segments=["region"]).hash,
        definition(alerts=AlertsSpec(false_pages_per_month=1.0)).hash,
        msgspec.structs.replace(definition(), baseline_hash="other").hash,
    }

    assert len(hashes) == 5


def test_the_order_of_keys_does_not_change_the_hash() -> None:
    assert definition(features={"a": {"min": 0}, "b": {}}).hash == definition(features={"b": {}, "a": {"min": 0}}).hash


def test_what_is_not_said_does_not_count() -> None:
    spec = msgspec.json.encode(definition().spec)

    assert spec == b'{"task":"regression","reference":"r.csv"}'


def test_a_definition_keeps_its_hash_on_the_way_through_the_log() -> None:
    one = definition(spread=1, label_horizon="90d", alerts={"false_pages_per_month": 2}, features={"a": {"min": 0}})

    again = msgspec.json.decode(msgspec.json.encode(one), type=Definition)

    assert again == one
    assert again.hash == one.hash


def accepting(one: Definition, reason: str = "a new region") -> Definition:
    return msgspec.structs.replace(
        one,
        built_from=ServedRows(since="2026-01-01T00:00:00.000Z", until="2026-01-02T00:00:00.000Z", rows=12_000),
        accepts=[Acceptance(incident_id="i1", reason=reason, at="2026-01-03T00:00:00.000Z")],
        follows=one.hash,
    )


def test_without_a_story_nothing_of_it_is_written_and_the_hash_is_that_of_configuration_and_baseline() -> None:
    one = definition()

    written = msgspec.json.decode(msgspec.json.encode(one))

    assert set(written) == {"model", "spec", "schema", "baseline_hash"}
    assert one.hash == content_hash(msgspec.json.encode(one.spec, order="sorted") + b"\n" + one.baseline_hash.encode())


def warming(**spec: object) -> Definition:
    given = {"task": "binary", "positive_class": 1, "classes": [1, 0], "warm_up": "7d", **spec}
    found = msgspec.convert({**given, "features": {"age": {"kind": "numeric"}}}, ModelSpec)
    return Definition(model="car_loan", spec=found, schema=declared_schema(found))


@pytest.mark.parametrize(
    ("spec", "classes", "scores"),
    [
        ({}, ["0", "1"], ["score"]),
        (
            {"task": "multiclass", "classes": ["cat", "ant", 7]},
            ["7", "ant", "cat"],
            ["score:7", "score:ant", "score:cat"],
        ),
        ({"task": "regression", "classes": []}, [], []),
    ],
    ids=["binary", "multiclass", "regression"],
)
def test_a_model_without_a_reference_has_the_columns_that_it_declares(
    spec: dict[str, object], classes: list[str], scores: list[str]
) -> None:
    assert warming(**spec).schema == ModelSchema(features={"age": "numeric"}, classes=classes, scores=scores)


def test_a_model_that_warms_up_is_published_without_a_baseline() -> None:
    one = warming()

    assert [message.key for message in control_records(TOPICS, one, b"")] == [
        f"car_loan/definition/{one.hash}".encode()
    ]
    assert absorbed(one).definition("car_loan") == one
    assert absorbed(one).baseline(one) == b""


def test_who_accepted_what_is_part_of_the_hash() -> None:
    one = definition()

    assert len({one.hash, accepting(one).hash, accepting(one, "another reason").hash}) == 3


def test_a_story_keeps_its_hash_on_the_way_through_the_log() -> None:
    one = accepting(definition())

    catalogue = absorbed(definition(), one)

    assert catalogue.definition("car_loan") == one
    assert catalogue.published_ms == dict.fromkeys((definition().hash, one.hash), 0)


def test_an_acceptance_is_found_by_its_incident() -> None:
    one = accepting(definition())

    assert one.acceptance("i1") == one.accepts[0]
    assert one.acceptance("i2") is None


def test_a_model_that_nobody_published_has_no_definition() -> None:
    assert Catalogue().definition("car_loan") is None


def test_a_stamp_carries_version_hash_horizon_and_key() -> None:
    one = definition(label_horizon="30d")

    assert one.stamp(5, "abcd") == Stamp(5, one.hash, 30 * 86_400_000, "abcd")


def test_a_baseline_that_is_not_what_its_key_says_is_corrupt() -> None:
    baseline, _ = published(definition())

    with pytest.raises(
        Corrupt, match=rf"driftline\.control@0: the baseline of car_loan is not {content_hash(BASELINE)}"
    ):
        Catalogue().absorb(altered(baseline, b"other bytes"))


def test_a_definition_that_is_not_what_its_key_says_is_corrupt() -> None:
    _, record = published(definition())
    other = msgspec.json.encode(definition(label_horizon="1d"))

    with pytest.raises(Corrupt, match=r"driftline\.control@1: the definition of car_loan is not"):
        Catalogue().absorb(altered(record, other))


def test_a_definition_that_does_not_decode_is_corrupt() -> None:
    _, record = published(definition())

    with pytest.raises(Corrupt, match=r"driftline\.control@1: not a definition"):
        Catalogue().absorb(altered(record, b'{"model": 1}'))


def test_records_of_other_kinds_are_skipped() -> None:
    catalogue = Catalogue()

    catalogue.absorb(Record(TOPICS.control, 0, 0, 0, b"car_loan/rates/1234", b"{}"))
    catalogue.absorb(Record(TOPICS.control, 0, 1, 0, b"car_loan/definition/1234", None))
    catalogue.absorb(Record(TOPICS.control, 0, 2, 0, None, b"{}"))

    assert (catalogue.definitions, catalogue.baselines) == ({}, {})


@pytest.mark.parametrize("key", [b"note", b"\xff/rumour/1", b"a/b", b""])
def test_a_key_that_nobody_of_us_writes_is_skipped(key: bytes) -> None:
    catalogue = Catalogue()

    catalogue.absorb(Record(TOPICS.control, 0, 0, 0, key, b"{}"))

    assert (catalogue.definitions, catalogue.baselines) == ({}, {})


def altered(record: Record, value: bytes) -> Record:
    return Record(record.topic, record.partition, record.offset, record.timestamp_ms, record.key, value)
