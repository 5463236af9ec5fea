"""References of rankings: which forms are read, and what is said of those that are none."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.detector.advisory.binding import Source, bind_detectors
from services.detector.baseline import Baseline, decode, encode
from services.detector.baseline_build import build_baseline
from services.detector.estimates.expected import Expectation
from services.detector.reference_rankings import with_rankings
from shared.detectors import DetectorSpec
from shared.errors import ConfigurationError
from shared.events.block import ITEMS, LABEL, PREDICTION
from shared.events.ranking import pack_gains, pack_items
from tests.kit.ranked import MODEL, SPEC, publication, reference

WORTH = [{"a": 1.0}, {"b": 2.0, "c": 1.0}, None]
AS_MAP = pa.array([None if one is None else [*one.items()] for one in WORTH], pa.map_(pa.string(), pa.float64()))
LABELS: dict[str, pa.Array] = {
    "a map": AS_MAP,
    "a struct": pa.array(WORTH, pa.struct({name: pa.float64() for name in "abc"})),
    "JSON": pa.array(['{"a": 1}', '{"c": 1, "b": 2.0}', None]),
}
LISTS: dict[str, pa.Array] = {
    "Arrow": pa.array([["a", "b"], [], None]),
    "JSON": pa.array(['["a", "b"]', "[]", None]),
    "a dictionary of JSON": pa.array(['["a", "b"]', "[]", None]).dictionary_encode(),
}


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
def test_gains_are_read_from_maps_structs_and_json(label: pa.Array) -> None:
    found = with_rankings("r", pa.table({LABEL: label}))
    assert found.column(LABEL).to_pylist() == [None if one is None else pack_gains(one) for one in WORTH]


def test_a_list_of_relevant_items_is_a_label_too() -> None:
    found = with_rankings("r", pa.table({LABEL: pa.array([["a", "b"], []])}))
    assert found.column(LABEL).to_pylist() == [pack_gains({"a": 1, "b": 1}), b""]


@pytest.mark.parametrize("lists", LISTS.values(), ids=LISTS)
def test_lists_are_read_from_arrow_and_json(lists: pa.Array) -> None:
    found = with_rankings("r", pa.table({PREDICTION: lists}))
    assert found.column(PREDICTION).to_pylist() == ["a", None, None]
    assert found.column(ITEMS).to_pylist() == [pack_items(["a", "b"]), b"", None]


BAD: dict[str, tuple[str, Any, str]] = {
    "no JSON": (PREDICTION, ["[1]", "a,b"], "row 1: neither a list nor JSON"),
    "a class": (PREDICTION, ['"a"'], "row 0: not a list of items"),
    "a number": (PREDICTION, [7], "row 0: not a list of items"),
    "an item twice": (PREDICTION, [["a"], ["b", "b"]], "row 1: an item that is listed twice"),
    "a negative gain": (LABEL, ['{"a": -1}'], "row 0: a gain that is no number"),
    "a number for gains": (LABEL, [7.5], "row 0: not a list of items"),
}


@pytest.mark.parametrize(("column", "values", "why"), BAD.values(), ids=BAD)
def test_a_row_that_cannot_be_used_is_refused_by_its_number(column: str, values: Any, why: str) -> None:
    table = reference(10).slice(0, len(values)).drop_columns([column]).append_column(column, pa.array(values))
    with pytest.raises(ConfigurationError, match=f"models.feed.reference: column '{column}', {why}"):
        build_baseline(MODEL, SPEC, table)


def built(**columns: pa.Array) -> Baseline:
    table = reference(3_000)
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return build_baseline(MODEL, SPEC, table)


def test_json_and_arrow_give_one_baseline() -> None:
    table = reference(3_000)
    as_json = {
        PREDICTION: [msgspec.json.encode(items).decode() for items in table.column(PREDICTION).to_pylist()],
        LABEL: [msgspec.json.encode(dict(gains)).decode() for gains in table.column(LABEL).to_pylist()],
    }
    assert encode(built()) == encode(built(**{name: pa.array(texts) for name, texts in as_json.items()}))


def test_a_baseline_of_rankings_watches_the_first_item_and_the_loss_of_ndcg() -> None:
    found = build_baseline(MODEL, SPEC, reference())
    assert publication().definition.schema.classes == []
    assert (found.task, found.cutoffs, found.classes) == ("ranking", [3, 5], [])
    assert [(column.name, column.role, column.kind) for column in found.columns] == [
        ("age", "feature", "numeric"),
        ("prediction", "prediction", "categorical"),
    ]
    assert found.performance is not None
    [monitor] = found.performance.monitors
    assert (monitor.name, monitor.reason) == ("ndcg_loss@3", "")
    ndcg = found.performance.metrics["ndcg@3"]["all"].value
    assert monitor.rate == pytest.approx(1.0 - ndcg, abs=1e-6)
    assert monitor.rate < monitor.p0 < 1.25 * monitor.rate
    assert set(found.performance.metrics["mrr"]) == {"all", "country=es", "country=pt"}


@pytest.mark.parametrize("left_out", [PREDICTION, LABEL])
def test_without_lists_or_labels_nothing_is_known_of_performance(left_out: str) -> None:
    found = build_baseline(MODEL, SPEC, reference(2_000).drop_columns([left_out]))
    assert (found.performance, found.estimates) == (None, None)


def test_labels_of_which_none_has_a_relevant_item_are_no_reference() -> None:
    empty = pa.array([[] for _ in range(2_000)], pa.map_(pa.string(), pa.float64()))
    table = reference(2_000)
    table = table.set_column(table.column_names.index(LABEL), LABEL, empty)
    assert build_baseline(MODEL, SPEC, table).performance is None


def test_ages_of_labels_part_what_a_loss_is_compared_with() -> None:
    table = reference(4_000)
    late = np.arange(4_000) % 2 * 20 * 86_400_000 + 3_600_000
    at = table.column("ts").cast(pa.int64()).to_numpy() + late
    gains = [
        [*dict.fromkeys(items[:1] if row % 2 else items[4:5], 1.0).items()]
        for row, items in enumerate(table.column(PREDICTION).to_pylist())
    ]
    table = table.set_column(
        table.column_names.index(LABEL), LABEL, pa.array(gains, pa.map_(pa.string(), pa.float64()))
    )
    found = build_baseline(MODEL, SPEC, table.append_column("label_ts", pa.array(at, pa.timestamp("ms", tz="UTC"))))
    assert found.label_ages is not None
    (early,), *_, (last,) = found.label_ages.p0
    assert early > 0.9
    assert last < 0.1


def test_a_named_detector_takes_the_loss_as_a_number_and_one_of_errors_is_refused() -> None:
    spec = msgspec.structs.replace(SPEC, detectors=[DetectorSpec(name="adwin", signal="ndcg_loss@3")])
    baseline = decode(publication().baseline)
    (bound,) = bind_detectors(MODEL, spec, baseline)
    assert (bound.source, bound.series) == (Source.FLAG, 0)

    other = msgspec.structs.replace(SPEC, detectors=[DetectorSpec(name="adwin", signal="ndcg_loss@5")])
    with pytest.raises(ConfigurationError, match="ndcg_loss@5"):
        bind_detectors(MODEL, other, baseline)


def test_the_model_says_why_nothing_is_estimated_of_it() -> None:
    assert Expectation(decode(publication().baseline)).why_not == "no score says how good a list is"
