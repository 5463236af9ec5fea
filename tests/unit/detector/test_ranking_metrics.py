"""Metrics of rankings: scikit-learn's where it has them, and those of small lists counted by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from services.detector.performance.metrics.rankings import metric_names, row_metrics
from services.detector.performance.metrics.value import Metrics
from services.detector.performance.tally import Tally
from services.detector.structs import FloatArray
from shared.events.ranking import pack_gains, pack_items

Gains = Mapping[str, float] | Sequence[str]


def told(
    lists: Sequence[Sequence[str] | None], gains: Sequence[Gains | None], cutoffs: Sequence[int]
) -> dict[str, FloatArray]:
    """Return each metric of rows, by its name."""
    items = pa.array([None if one is None else pack_items(one) for one in lists], pa.binary())
    worth = pa.array([None if one is None else pack_gains(one) for one in gains], pa.binary())
    return dict(zip(metric_names(cutoffs), row_metrics(items, worth, cutoffs).T, strict=True))


def one(items: Sequence[str], gains: Gains, *cutoffs: int) -> dict[str, float]:
    return {name: float(values[0]) for name, values in told([items], [gains], cutoffs).items()}


def tallied(lists: Sequence[Sequence[str] | None], gains: Sequence[Gains | None], *cutoffs: int) -> Metrics:
    """Return the metrics of a cohort of rows, added up."""
    metrics = np.column_stack(list(told(lists, gains, cutoffs).values()))
    tally = Tally("ranking", (), cutoffs=cutoffs)
    relevant = np.array([math.nan if each is None else len(pack_gains(each)) // 16 for each in gains])
    listed = np.array([math.nan if each is None else len(each) for each in lists])
    added = tally.contributions(relevant, listed, metrics)
    counts = np.bincount(added.index[added.index >= 0], minlength=tally.counts)
    return tally.metrics(counts, added.addends[added.index >= 0].sum(axis=0))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("k", [1, 3, 10, 30])
def test_ndcg_is_scikit_learns(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    catalogue = [f"i{number}" for number in range(30)]
    scores = rng.permutation(30).astype(np.float64)
    gains = np.where(rng.random(30) < 0.4, np.round(rng.gamma(1.0, 3.0, 30), 3), 0.0)
    gains[rng.integers(30)] = 1.0
    order = [catalogue[place] for place in np.argsort(-scores)]

    found = one(order, dict(zip(catalogue, gains.tolist(), strict=True)), k)

    assert found[f"ndcg@{k}"] == pytest.approx(ndcg_score([gains], [scores], k=k), abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_map_of_a_whole_catalogue_is_scikit_learns_average_precision(seed: int) -> None:
    rng = np.random.default_rng(seed)
    relevant = rng.random(25) < 0.3
    relevant[rng.integers(25)] = True
    scores = rng.permutation(25).astype(np.float64)
    order = [str(place) for place in np.argsort(-scores)]

    found = one(order, [str(place) for place in np.flatnonzero(relevant)], 25)

    assert found["map@25"] == pytest.approx(average_precision_score(relevant, scores), abs=1e-9)


def test_the_metrics_of_a_small_list_are_those_counted_by_hand() -> None:
    found = one(["a", "b", "c", "d"], {"b": 3.0, "d": 1.0, "x": 2.0}, 2, 4)

    ideal_2 = 3.0 + 2.0 / math.log2(3)
    ideal_4 = ideal_2 + 1.0 / math.log2(4)
    assert found == pytest.approx(
        {
            "ndcg@2": 3.0 / math.log2(3) / ideal_2,
            "map@2": (1 / 2) / 2,
            "precision@2": 1 / 2,
            "recall@2": 1 / 3,
            "hit_rate@2": 1.0,
            "ndcg@4": (3.0 / math.log2(3) + 1.0 / math.log2(5)) / ideal_4,
            "map@4": (1 / 2 + 2 / 4) / 3,
            "precision@4": 2 / 4,
            "recall@4": 2 / 3,
            "hit_rate@4": 1.0,
            "mrr": 1 / 2,
        },
        abs=1e-12,
    )


def test_a_list_shorter_than_k_has_the_precision_of_k_items() -> None:
    found = one(["a"], {"a": 1.0, "b": 1.0}, 5)
    assert (found["precision@5"], found["recall@5"], found["mrr"]) == (0.2, 0.5, 1.0)


def test_the_best_list_there_can_be_has_one_everywhere() -> None:
    assert set(one(["a", "b"], {"a": 2.0, "b": 1.0}, 2).values()) == {1.0}


@pytest.mark.parametrize("items", [["x", "y"], []], ids=["none of them relevant", "empty"])
def test_a_list_without_a_relevant_item_has_zero_everywhere(items: list[str]) -> None:
    assert set(one(items, {"a": 2.0}, 1, 5).values()) == {0.0}


def test_mrr_is_of_the_whole_list() -> None:
    assert one(["x", "y", "z", "a"], {"a": 1.0}, 2)["mrr"] == 0.25


@pytest.mark.parametrize(("items", "gains"), [(None, {"a": 1.0}), (["a"], None), (["a"], {}), ([], {})], ids=str)
def test_without_a_list_a_label_or_a_relevant_item_there_is_no_metric(
    items: Sequence[str] | None, gains: Gains | None
) -> None:
    assert all(np.isnan(values[0]) for values in told([items], [gains], [5]).values())


def test_rows_do_not_depend_on_the_rows_beside_them() -> None:
    lists, gains = [["a", "b"], None, [], ["c", "a", "d"], ["a"]], [{"b": 1.0}, {"a": 1.0}, {}, {"d": 2.0}, {"a": 1.0}]
    together = told(lists, gains, [1, 3])
    for row, (items, worth) in enumerate(zip(lists, gains, strict=True)):
        alone = told([items], [worth], [1, 3])
        assert {name: values[row] for name, values in together.items()} == pytest.approx(
            {name: values[0] for name, values in alone.items()}, abs=0, nan_ok=True
        )


def test_sliced_columns_are_read_from_where_they_begin() -> None:
    items = pa.array([pack_items(["x"]), pack_items(["a", "b"])], pa.binary()).slice(1)
    gains = pa.array([b"", pack_gains({"b": 1.0})], pa.binary()).slice(1)
    assert row_metrics(items, gains, [2])[0].tolist()[-1] == 0.5


def test_a_cohort_has_the_mean_of_its_rows_with_an_interval() -> None:
    found = tallied([["a"], ["b"], ["a", "b"], ["a"]], [{"a": 1.0}, {"a": 1.0}, {"b": 1.0}, {}], 1)

    assert found["precision@1"].value == pytest.approx(1 / 3)
    assert found["mrr"].value == pytest.approx(0.5)
    assert found["hit_rate@1"].value == pytest.approx(1 / 3)
    assert found["mrr"].low is not None
    assert found["mrr"].low < 0.5
    assert found["mrr"].note == "without 1 labels that have no relevant item"


@pytest.mark.parametrize(
    ("lists", "gains", "why"),
    [
        ([["a"], ["b"]], [{}, {}], "no label has a relevant item"),
        ([["a"]], [None], "no labels"),
        ([None], [{"a": 1.0}], "no labels"),
    ],
    ids=["nothing relevant", "no label", "no list"],
)
def test_a_cohort_without_a_metric_says_why(
    lists: list[Sequence[str] | None], gains: list[Gains | None], why: str
) -> None:
    found = tallied(lists, gains, 3)
    assert {(value.value, value.note) for value in found.values()} == {(None, why)}


def test_labels_without_a_relevant_item_are_counted_as_labels() -> None:
    tally = Tally("ranking", (), cutoffs=(1,))
    told_of = tally.contributions(
        np.array([1.0, 0.0, np.nan, 1.0]), np.array([1.0, 1.0, 1.0, np.nan]), np.full((4, 6), np.nan)
    )
    assert told_of.index.tolist() == [0, 1, -1, -1]
    assert not told_of.addends.any()
