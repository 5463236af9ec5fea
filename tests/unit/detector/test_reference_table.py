from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from services.detector.reference_table import ReferenceTable
from shared.errors import ConfigurationError
from shared.monitors import FeatureSpec, ModelSpec
from tests.kit.references import loans, spec

ROWS = 4
LOANS = loans(ROWS)


def table(**columns: object) -> pa.Table:
    return pa.table({"prediction": [0, 1, 0, 1], "label": [0, 1, 1, 1], **columns})


def read(data: pa.Table, given: ModelSpec | None = None) -> ReferenceTable:
    return ReferenceTable("loans", given or spec(), data)


def test_kinds_follow_the_types_and_the_configuration() -> None:
    data = table(
        age=[1, 2, 3, None],
        vip=[True, False, None, True],
        zip=[8001, 8002, 8001, 8004],
        **{"features.label": [1.5] * 4},
    )

    found = read(data, spec(features={"zip": FeatureSpec(kind="categorical")})).columns()

    assert [(c.name, c.kind) for c in found if c.role == "feature"] == [
        ("age", "numeric"),
        ("vip", "categorical"),
        ("zip", "categorical"),
        ("label", "numeric"),
    ]
    assert found[1].texts == ["true", "false"]
    assert found[2].texts == ["8001", "8002", "8004"]


def test_infinities_and_nan_are_missing() -> None:
    values = read(table(x=[np.inf, -np.inf, np.nan, 2.0])).columns()[0].values

    assert np.isnan(values).tolist() == [True, True, True, False]


def test_classes_are_the_sorted_texts_of_prediction_and_label() -> None:
    assert read(loans(100)).classes == ["0", "1"]
    assert read(pa.table({"prediction": [1.0, 0.0], "label": [1, 1]})).classes == ["0", "1"]
    given = spec(task="multiclass", positive_class=None)
    assert read(pa.table({"prediction": ["b", "a"], "label": ["b", "b"], "score_c": [0.1, 0.2]}), given).classes == [
        "a",
        "b",
        "c",
    ]


def test_a_multiclass_model_watches_the_score_of_each_class() -> None:
    data = pa.table({"prediction": ["b", "a"], "score_b": [0.7, 0.3], "score_a": [0.3, 0.7]})

    found = read(data, spec(task="multiclass", positive_class=None)).columns()

    assert [(c.name, c.source) for c in found] == [
        ("prediction", "prediction"),
        ("score_a", "score:a"),
        ("score_b", "score:b"),
    ]


def test_the_score_of_the_positive_class_stands_before_a_plain_one() -> None:
    both = read(table(score=[0.1] * 4, score_1=[0.9] * 4)).columns()[-1]
    plain = read(table(score=[0.1] * 4)).columns()[-1]

    assert (both.name, both.values.tolist()) == ("score", [0.9] * 4)
    assert plain.values.tolist() == [0.1] * 4


@pytest.mark.parametrize(
    "ts",
    [
        pa.array([0, 1, 2, 3_000], pa.timestamp("ms")),
        pa.array([0, 1_000, 2_000, 3_000_000], pa.timestamp("us", tz="Europe/Zurich")),
        pa.array(["1970-01-01T00:00:00Z"] + [f"1970-01-01T00:00:0{s}Z" for s in ("0.001", "0.002", "3")]),
    ],
    ids=["naive", "zoned", "text"],
)
def test_times_are_read_in_any_form(ts: pa.Array) -> None:
    found = read(table(ts=ts))

    assert found.ts is not None
    assert found.ts.tolist() == [0, 1, 2, 3_000]
    assert found.in_time_order


def test_a_dimension_is_its_own_column_or_the_feature_of_that_name() -> None:
    data = table(region=["n", "s", None, "n"], seg_shop=["a", "b", "a", "a"], shop=[1, 2, 3, 4])

    found = read(data)

    assert found.dimension("region")[1] == ["n", "s"]
    assert found.dimension("shop")[1] == ["a", "b"]
    with pytest.raises(ConfigurationError, match=r"models.loans.segments: city: .* no column seg_city and no city"):
        found.dimension("city")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: read(table(born=[datetime(2020, 1, 1, tzinfo=UTC)] * 4)).columns(),
            r"reference: column 'born' holds dates",
        ),
        (lambda: read(table(tags=[["a"]] * 4)).columns(), r"reference: column 'tags' holds list"),
        (lambda: read(LOANS.slice(0, 0)), r"reference: holds no rows"),
        (lambda: read(table(ts=[1, 2, 3, 4])), r"reference: column 'ts' holds int64, not times"),
        (lambda: read(table(ts=["yesterday"] * 4)), r"reference: column 'ts': not an RFC 3339"),
        (lambda: read(table(x=[1] * 4, **{"features.x": [1] * 4})).columns(), r"'x' is the name of another column"),
        (lambda: read(table(score_1=["high"] * 4)).columns(), r"column 'score_1' holds string, not numbers"),
        (lambda: read(pa.table({"label": [0, 2]})), r"positive_class: '1' is no class of the reference \(0, 2\)"),
        (lambda: read(pa.table({"label": [0, 1, 2]})), r"task: binary, but the reference has 3 classes"),
        (lambda: read(LOANS, spec(features={"agee": FeatureSpec(min=0)})).columns(), r"features.agee: no column"),
        (
            lambda: read(LOANS, spec(features={"region": FeatureSpec(kind="numeric")})).columns(),
            r"column 'region' holds string, not numbers",
        ),
    ],
    ids=["dates", "lists", "empty", "ts numbers", "ts words", "twice", "score", "positive", "classes", "typo", "kind"],
)
def test_what_cannot_be_watched_is_refused_with_its_path(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        build()

    assert refused.value.path.startswith("models.loans.")
