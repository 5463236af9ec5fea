"""Labelled blocks of lists where the detector reads them: signals, challengers, references from the log."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.detector.baseline import decode
from services.detector.challengers.losses import MISSING, Loss
from services.detector.log_reference import LogReference, Range
from services.detector.signals.plan import SignalPlan
from shared.definition import declared_schema
from shared.events.block import Block, BlockKind, Chain, encode
from shared.events.ranking import pack_gains, pack_items
from shared.log import Record
from shared.monitors import FeatureSpec, ModelSpec
from tests.kit.ranked import MODEL, publication
from tests.kit.traffic import publication as loans

Rows = Sequence[tuple[Sequence[str] | None, dict[str, float] | None]]
ROWS: Rows = [(["a", "b"], {"b": 1.0}), ([], {"a": 1.0}), (["a"], {}), (None, {"a": 1.0}), (["a"], None)]
NDCG = 1.0 / np.log2(3.0)


def labelled(rows: Rows, **others: pa.Array) -> pa.RecordBatch:
    given = {
        "prediction_items": pa.array([None if one is None else pack_items(one) for one, _ in rows], pa.binary()),
        "label": pa.array([None if one is None else pack_gains(one) for _, one in rows], pa.binary()),
    }
    return pa.RecordBatch.from_pydict({**given, **others})


def test_the_signals_of_lists_are_their_metrics_and_their_loss() -> None:
    found = SignalPlan(decode(publication().baseline)).labelled(labelled(ROWS))

    assert found.flags[:, 0] == pytest.approx([1.0 - NDCG, 1.0, np.nan, np.nan, np.nan], abs=1e-7, nan_ok=True)
    assert found.labels == pytest.approx([1, 1, 0, 1, np.nan], nan_ok=True)
    assert found.predictions == pytest.approx([2, 0, 1, np.nan, 1], nan_ok=True)
    assert found.scores[0, -1] == 0.5
    assert np.isnan(found.residuals).all()


@pytest.mark.parametrize("label", ["text", "number"])
def test_labels_of_an_older_configuration_are_none_of_a_ranking(label: str) -> None:
    column = pa.array(["yes"]).dictionary_encode() if label == "text" else pa.array([1.0])
    batch = labelled(ROWS[:1], label=column, prediction=column).drop_columns(["prediction_items"])
    found = SignalPlan(decode(publication().baseline)).labelled(batch)
    assert np.isnan(found.flags).all()
    assert np.isnan(found.labels).all()


def test_lists_of_an_older_configuration_are_no_classes() -> None:
    found = SignalPlan(decode(loans().baseline)).labelled(labelled(ROWS[:2]))
    assert np.isnan(found.flags).all()
    assert np.isnan(found.labels).all()


def test_challengers_are_compared_by_the_loss_of_ndcg_in_hundredths() -> None:
    assert Loss("ndcg_loss", cutoff=2).of(labelled(ROWS)).tolist() == [37, 100, MISSING, MISSING, MISSING]
    assert Loss("ndcg_loss", cutoff=1).of(labelled(ROWS[:1])).tolist() == [100]
    assert Loss("error", ("a", "b")).of(labelled(ROWS[:2])).tolist() == [MISSING, MISSING]


def test_a_reference_from_the_log_has_the_lists_and_the_newest_gains() -> None:
    spec = ModelSpec(task="ranking", warm_up="1d", features={"age": FeatureSpec(kind="numeric")})
    rows = 3
    ids = pa.array([bytes([row] * 16) for row in range(rows)], pa.binary(16))
    items = [pack_items(["a", "b"]), b"", None]
    common = {"id": ids, "ts": pa.array([1_000, 2_000, 3_000])}
    served = pa.RecordBatch.from_pydict(
        common
        | {
            "f:age": pa.array([1.0, 2.0, 3.0]),
            "prediction": pa.array(["a", None, None]).dictionary_encode(),
            "prediction_items": pa.array(items, pa.binary()),
        }
    )

    def of(gains: list[dict[str, float]]) -> pa.RecordBatch:
        label = pa.array([pack_gains(one) for one in gains], pa.binary())
        return pa.RecordBatch.from_pydict(
            common | {"prediction_items": served.column("prediction_items"), "label": label}
        )

    text = pa.RecordBatch.from_pydict(common | {"label": pa.array(["x"] * rows)})
    blocks = [
        (BlockKind.SERVED, served),
        (BlockKind.LABELLED, of([{"a": 1.0}, {"b": 1.0}, {}])),
        (BlockKind.CORRECTED, of([{"a": 2.0}, {"b": 1.0}, {}])),
        (BlockKind.LABELLED, text),
    ]
    found = LogReference(MODEL, spec, declared_schema(spec), Range())
    for number, (kind, batch) in enumerate(blocks):
        chain = Chain(0, number << 16, (number - 1) << 16)
        value, headers = encode(Block(kind, MODEL, "v1", publication().definition.stamp(1, "k"), batch, chain))
        found.take(Record("driftline.observations", 0, number, 0, None, value, headers))

    table = found.table()
    assert table.column("prediction").to_pylist() == ["a", None, None]
    assert table.column("prediction_items").to_pylist() == items
    assert table.column("label").to_pylist() == [pack_gains({"a": 2.0}), pack_gains({"b": 1.0}), b""]
    assert msgspec.json.decode(msgspec.json.encode(spec), type=ModelSpec).cutoffs == (10,)
