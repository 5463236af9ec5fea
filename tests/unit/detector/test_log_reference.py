"""A reference from the log: which rows, which columns, which labels."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.detector.baseline import decode, schema
from services.detector.baseline_build import build_baseline
from services.detector.log_reference import LogReference, Range
from services.detector.structs import encode_struct
from shared.definition import ModelSchema
from shared.events.block import Block, BlockKind
from shared.log import Record
from shared.monitors import FeatureSpec, ModelSpec
from tests.kit.references import HOUR_MS, served, words
from tests.kit.traffic import MODEL, SPEC, START_MS, Log, publication, rows

SCHEMA = schema(decode(publication().baseline))
EVERYTHING = Range()


def gathered(
    records: list[Record],
    wanted: Range = EVERYTHING,
    spec: ModelSpec = SPEC,
    known: ModelSchema = SCHEMA,
    *,
    most: int = 1_000_000,
) -> LogReference:
    found = LogReference(MODEL, spec, known, wanted, most=most)
    for record in records:
        found.take(record)
    return found


def at(row: int) -> int:
    return START_MS + row * HOUR_MS


def times(table: pa.Table) -> list[int]:
    found: list[int] = table.column("ts").cast(pa.int64()).to_pylist()
    return found


def written(batch: pa.RecordBatch, kind: BlockKind = BlockKind.SERVED) -> list[Record]:
    log = Log(rows(1))
    log.put(Block(kind, MODEL, "v1", publication().definition.stamp(1, "key"), batch))
    return log.records


def test_the_rows_have_the_columns_of_a_reference_and_give_its_baseline() -> None:
    log = Log(rows(12_000))
    log.serve(0, 12_000)
    log.label(0, 12_000)

    table = gathered(log.records).table()
    from_log = build_baseline(MODEL, SPEC, table, classes=["0", "1"])

    assert table.column_names == [
        "ts",
        "features.amount",
        "features.term",
        "features.region",
        "features.repaid_before",
        "prediction",
        "score",
        "seg_channel",
        "label",
    ]
    from_table = build_baseline(MODEL, SPEC, rows(12_000))
    assert [column.name for column in from_log.columns] == [column.name for column in from_table.columns]
    for ours, theirs in zip(from_log.columns, from_table.columns, strict=True):
        assert (ours.kind, ours.source, ours.levels) == (theirs.kind, theirs.source, theirs.levels)
        assert ours.counts.tolist() == theirs.counts.tolist()
    assert from_log.arming.reason.tolist() == from_table.arming.reason.tolist()
    assert from_log.performance is not None
    assert from_table.performance is not None
    assert encode_struct(from_log.performance) == encode_struct(from_table.performance)


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        (EVERYTHING, 0, 299),
        (Range(since_ms=at(120)), 120, 299),
        (Range(until_ms=at(120)), 0, 119),
        (Range(since_ms=at(100), until_ms=at(101)), 100, 100),
    ],
    ids=["all", "since", "until", "one"],
)
def test_a_range_holds_its_first_time_and_not_its_last(wanted: Range, first: int, last: int) -> None:
    log = Log(rows(300))
    log.serve(0, 300, cut=70)

    found = gathered(log.records, wanted)

    assert found.rows == last + 1 - first
    assert times(found.table()) == [at(row) for row in range(first, last + 1)]


def test_a_range_of_one_version_leaves_out_the_others() -> None:
    log = Log(rows(300))
    log.serve(0, 200)
    log.serve(200, 300, model_version="v2")
    log.label(200, 210, model_version="v2")

    found = gathered(log.records, Range(model_version="v2"))

    assert times(found.table()) == [at(row) for row in range(200, 300)]
    assert found.kept.versions == {"v1", "v2"}
    assert (found.kept.first_ms, found.kept.last_ms) == (at(0), at(299))


def test_other_models_ticks_and_copies_change_nothing() -> None:
    log = Log(rows(200))
    log.serve(0, 100)
    copied = list(log.records)
    log.tick()
    log.model = "cars"
    log.serve(100, 200)

    assert gathered([*copied, *copied, *log.records]).rows == 100


def test_rows_that_arrived_out_of_order_stand_in_the_order_of_their_time() -> None:
    log = Log(rows(300))
    log.serve(200, 300)
    log.serve(0, 200, shard=1)

    table = gathered(log.records).table()

    assert times(table) == [at(row) for row in range(300)]
    assert table.column("features.amount").to_pylist() == rows(300).column("amount").to_pylist()


def test_of_more_rows_than_fit_the_newest_are_taken() -> None:
    log = Log(rows(300))
    log.serve(0, 300, cut=40)
    log.label(0, 300, cut=40)

    found = gathered(log.records, most=100)

    assert (found.rows, found.found) == (100, 300)
    assert times(found.table()) == [at(row) for row in range(200, 300)]


def ids(*numbers: int) -> pa.Array:
    return pa.array([number.to_bytes(16, "big") for number in numbers], pa.binary(16))


def test_the_newest_label_of_a_row_counts() -> None:
    log = Log(rows(1))
    stamp = publication().definition.stamp(1, "key")
    predictions = served(id=ids(1, 2, 3), ts=pa.array([at(1), at(2), at(3)]), prediction=words("0", "1", "0"))
    labels = served(id=ids(2, 3), ts=pa.array([at(2), at(3)]), label=words("1", "0"))
    correction = served(id=ids(3), ts=pa.array([at(3)]), label=words("1"))
    log.put(Block(BlockKind.SERVED, MODEL, "v1", stamp, predictions))
    log.put(Block(BlockKind.LABELLED, MODEL, "v1", stamp, labels))
    log.put(Block(BlockKind.CORRECTED, MODEL, "v1", stamp, correction))

    assert gathered(log.records).table().column("label").to_pylist() == [None, "1", "1"]


def test_without_a_label_there_is_no_column_of_labels() -> None:
    log = Log(rows(100))
    log.serve(0, 100)

    assert "label" not in gathered(log.records).table().column_names


def test_a_score_that_no_row_has_is_left_out() -> None:
    batch = served(id=ids(1, 2), ts=pa.array([at(1), at(2)]), prediction=words("0", "1"), score=[np.nan, np.nan])

    assert "score" not in gathered(written(batch)).table().column_names


def test_the_scores_of_classes_are_named_after_them() -> None:
    spec = msgspec.structs.replace(SPEC, task="multiclass", positive_class=None)
    known = ModelSchema(features={}, classes=["a", "b"], scores=["score:a", "score:b"])
    batch = pa.RecordBatch.from_pydict(
        {"id": ids(1), "ts": [at(1)], "prediction": words("a"), "score:a": [0.75], "score:b": [0.25]}
    )

    table = gathered(written(batch), spec=spec, known=known).table()

    assert table.select(["score_a", "score_b"]).to_pylist() == [{"score_a": 0.75, "score_b": 0.25}]


def test_the_numbers_of_a_regression_are_numbers() -> None:
    spec = msgspec.structs.replace(SPEC, task="regression", positive_class=None)
    known = ModelSchema(features={}, classes=[], scores=[])
    log = Log(rows(1))
    stamp = publication().definition.stamp(1, "key")
    log.put(
        Block(BlockKind.SERVED, MODEL, "v1", stamp, served(id=ids(1, 2), ts=[at(1), at(2)], prediction=[2.5, np.nan]))
    )
    log.put(Block(BlockKind.LABELLED, MODEL, "v1", stamp, served(id=ids(1), ts=[at(1)], label=[2.0])))
    log.put(Block(BlockKind.LABELLED, MODEL, "v1", stamp, served(id=ids(2), ts=[at(2)], label=words("two"))))

    table = gathered(log.records, spec=spec, known=known).table()

    assert table.column("label").to_pylist() == [2.0, None]
    assert table.column("prediction").to_pylist()[0] == 2.5


def test_what_a_block_does_not_carry_or_carries_as_another_kind_is_missing() -> None:
    batch = served(
        id=ids(1),
        ts=[at(1)],
        prediction=words("1"),
        f__region=[3.5],
        f__amount=words("many"),
        f__term=pa.array([12], pa.int64()),
    )

    (row,) = gathered(written(batch)).table().to_pylist()

    assert {name: row[f"features.{name}"] for name in SCHEMA.features} == {
        "amount": None,
        "term": 12.0,
        "region": None,
        "repaid_before": None,
    }


@pytest.mark.parametrize(
    "given", [FeatureSpec(min=0.0, max=50.0), FeatureSpec(min=0.0), FeatureSpec(max=50.0)], ids=["both", "min", "max"]
)
def test_values_that_a_consumer_took_away_for_their_range_are_counted_as_outside(given: FeatureSpec) -> None:
    spec = msgspec.structs.replace(SPEC, segments=[], features={"term": given})
    known = ModelSchema(features={"term": "numeric"}, classes=[], scores=[])
    batch = pa.RecordBatch.from_pydict(
        {
            "id": ids(1, 2, 3),
            "ts": [at(1), at(2), at(3)],
            "prediction": words("0", "1", "1"),
            "f:term": [12.0, np.nan, np.nan],
            "flags:term": pa.array([0, 2, 1], pa.uint8()),  # fine, out of range, not a number
        }
    )

    baseline = build_baseline(MODEL, spec, gathered(written(batch), spec=spec, known=known).table())

    (term,) = (column for column in baseline.columns if column.name == "term")
    assert (term.outside, int(term.missing[0]), int(term.counts[0].sum())) == (1, 2, 1)
