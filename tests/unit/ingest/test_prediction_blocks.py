"""What a block of predictions holds."""

from __future__ import annotations

import msgspec
import pyarrow as pa

from shared.events.block import MAX_BYTES, BlockKind, Stamp
from shared.ingest.options import IngestOptions
from shared.topics import DEFAULT_HORIZON_MS
from tests.kit.ingest import KEY, TOPICS, animals, batch_of, label, labels, loan, prediction, predictions, publish

LEVELS = pa.dictionary(pa.int32(), pa.string())


def animal(**changes: object) -> dict[str, object]:
    return {
        **prediction(model="animals", features={"legs": 4}, prediction="cat", scores=None, segments=None),
        **changes,
    }


def test_a_block_has_one_typed_column_per_feature_score_and_dimension() -> None:
    service = predictions()
    service.take(prediction())
    [block] = service.blocks
    schema = batch_of(block).schema
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "id": pa.binary(16),
        "ts": pa.int64(),
        "src_topic": LEVELS,
        "src_partition": pa.int32(),
        "src_offset": pa.int64(),
        "digest": pa.uint64(),
        "prediction": LEVELS,
        "score": pa.float64(),
        "f:age": pa.float64(),
        "f:salary": LEVELS,
        "s:salary": LEVELS,
        "s:region": LEVELS,
    }
    assert service.rows[0]["id"] == KEY.request("loan", "r1")


def test_a_block_carries_the_stamp_of_its_definition() -> None:
    service = predictions()
    service.take(animal())
    [block] = service.blocks
    expected = Stamp(1, service.catalogue.current["animals"], DEFAULT_HORIZON_MS, KEY.fingerprint)
    assert (block.kind, block.model, block.model_version, block.stamp) == (
        BlockKind.PREDICTION,
        "animals",
        "v1",
        expected,
    )


def test_each_class_of_a_multiclass_model_has_its_score() -> None:
    service = predictions()
    service.take(
        animal(scores={"dog": 0.25, "cat": 0.5}), animal(scores={"emu": "x", "cat": 1}), animal(scores=0.5), animal()
    )
    scores = [tuple(row[f"score:{name}"] for name in ("cat", "dog", "emu")) for row in service.rows]
    nan = float("nan")
    assert repr(scores) == repr([(0.5, 0.25, nan), (1.0, nan, nan), (nan, nan, nan), (nan, nan, nan)])
    flags = [tuple(row[f"flags:score:{name}"] for name in ("cat", "dog", "emu")) for row in service.rows]
    assert flags == [(0, 0, 0), (0, 0, 1), (1, 1, 1), (0, 0, 0)]


def test_a_regression_predicts_numbers_and_has_no_scores() -> None:
    service = predictions()
    service.take(prediction(model="price", features={"size": 3}, prediction=7, scores={"whatever": 5}))
    [row] = service.rows
    assert (row["prediction"], row["f:size"]) == (7.0, 3.0)
    assert not [name for name in row if name.startswith(("score", "s:"))]


def test_the_digest_tells_content_and_nothing_else() -> None:
    service = predictions()
    same = [prediction(), prediction(ts=None, latency_ms=3), prediction(scores=0.75), prediction(prediction=1.0)]
    other = [
        prediction(prediction=0),
        prediction(scores=None),
        prediction(features={"age": 42, "salary": "low"}),
        prediction(features={"age": 41, "salary": None}),
        prediction(segments={"region": "south"}),
        prediction(features={"salary": "low"}),
    ]
    service.take(*same, *other)
    digests = [row["digest"] for row in service.rows]
    assert len(set(digests[: len(same)])) == 1
    assert len(set(digests)) == 1 + len(other)


def test_digests_do_not_depend_on_the_block_a_row_is_in() -> None:
    alone, together = predictions(), predictions()
    alone.take(prediction(features={"age": 1, "salary": "b"}))
    together.take(
        *[prediction(features={"age": 2, "salary": s}) for s in "abc"], prediction(features={"age": 1, "salary": "b"})
    )
    assert together.rows[-1]["digest"] == alone.rows[0]["digest"]


def test_rows_are_parted_by_version_and_partition() -> None:
    service = predictions(loan(spread=2))
    service.take(*[prediction(request_id=f"r{i}", model_version=f"v{i % 3}") for i in range(60)])
    versions = sorted(block.model_version for block in service.blocks)
    assert versions == ["v0", "v0", "v1", "v1", "v2", "v2"]
    assert service.placed == {
        identity: KEY.half_partition("loan", identity, spread=2, partitions=2)
        for identity in (KEY.request("loan", f"r{i}") for i in range(60))
    }


def test_prediction_and_label_of_an_id_meet_in_one_partition() -> None:
    given, truth = predictions(loan(spread=2)), labels(loan(spread=2))
    ids = [f"r{i}" for i in range(40)]
    given.take(*[prediction(request_id=name) for name in ids])
    truth.take(*[label(request_id=name) for name in ids])
    assert given.placed == truth.placed
    assert len(set(given.placed.values())) == 2


def test_rows_after_a_new_definition_carry_its_stamp() -> None:
    service = predictions(loan())
    service.take(prediction())
    publish(service.catalogue, loan(events_per_week=5.0), offset=7)
    service.take(prediction(), prediction())
    assert [(block.stamp.config_version, block.rows) for block in service.blocks] == [(0, 1), (7, 2)]


def test_a_model_that_is_added_while_running_is_watched() -> None:
    service = predictions(loan())
    service.take(animal())
    publish(service.catalogue, animals(), offset=3)
    service.take(animal())
    assert (service.reasons, [block.model for block in service.blocks]) == (["unknown_model"], ["animals"])


def test_a_block_above_1_mib_is_cut_by_row_order() -> None:
    service = predictions(options=IngestOptions(linger_ms=1_000))
    texts = [f"{i}".ljust(256, "x") for i in range(1_999)]
    service.take(*[prediction(features={"age": 1, "salary": text}) for text in texts])
    service.stage.close()
    assert [block.rows for block in service.blocks] == [999, 1_000]
    assert all(len(record.value or b"") <= MAX_BYTES for record in service.broker.records(TOPICS.halves))
    assert [row["f:salary"] for row in service.rows] == texts


def test_models_with_many_features_get_blocks_of_fewer_rows() -> None:
    definition = loan()
    schema = msgspec.structs.replace(definition.schema, features={f"x{i}": "numeric" for i in range(500)})
    service = predictions(msgspec.structs.replace(definition, schema=schema))
    service.take(*[prediction(features={"x7": 1})] * 300)
    assert [block.rows for block in service.blocks] == [223, 77]
