"""Pairs of a baseline of parts."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from services.detector.baseline import Baseline
from services.detector.baseline_build import build_baseline
from services.detector.baseline_parts import keeping_performance, with_columns, with_performance
from services.detector.pairs.reference import PairReferences
from tests.kit.pairs import PAIR, pair_baseline, pair_spec, related
from tests.kit.references import spec


@cache
def new() -> Baseline:
    """Return a baseline of half as many rows whose relations are others."""
    table = related(10_000, 9, r=-0.3, truth=1.0)
    term = table["term"].to_numpy() + 5.0
    table = table.set_column(table.schema.get_field_index("term"), "term", pa.array(term))
    return build_baseline("loans", pair_spec(), table, cells_of=pair_baseline())


def of(baseline: Baseline) -> PairReferences:
    assert baseline.pairs is not None
    return baseline.pairs


def coefficients(baseline: Baseline) -> dict[str, float | None]:
    return {pair.name: pair.pearson.r for pair in of(baseline).correlations}


def test_a_column_that_is_accepted_takes_its_pairs_along() -> None:
    old, mixed = coefficients(pair_baseline()), coefficients(with_columns(pair_baseline(), new(), ["term"]))

    touched = {name for name in old if "term" in name.split(" × ")}
    assert mixed == {name: (coefficients(new()) if name in touched else old)[name] for name in old}
    assert PAIR in touched
    tables = {found.name: found for found in of(with_columns(pair_baseline(), new(), ["term"])).joint}
    (expected,) = [found for found in of(new()).joint if found.name == PAIR]
    assert tables[PAIR].counts.tolist() == expected.counts.tolist()
    assert tables[PAIR].second.edges.tolist() == expected.second.edges.tolist()
    assert np.all(tables[PAIR].second.edges > 3.0)


def test_a_pair_can_be_accepted_alone() -> None:
    mixed = with_columns(pair_baseline(), new(), [PAIR])

    assert mixed.columns == pair_baseline().columns
    assert coefficients(mixed) == coefficients(pair_baseline()) | {PAIR: coefficients(new())[PAIR]}


def test_an_accepted_loss_takes_the_pairs_with_labels_along() -> None:
    mixed = with_performance(pair_baseline(), new())

    truths = {pair.name for pair in of(new()).of_labels()}
    assert {name: coefficients(mixed)[name] for name in truths} == {name: coefficients(new())[name] for name in truths}
    assert coefficients(mixed)[PAIR] == coefficients(pair_baseline())[PAIR]
    assert of(mixed).labels == 20_000


def test_an_accepted_change_of_inputs_takes_all_pairs_along() -> None:
    assert coefficients(keeping_performance(pair_baseline(), new())) == coefficients(new())


def test_without_pairs_there_is_nothing_to_take_along() -> None:
    plain = build_baseline("loans", spec(), related(3_000, 9))

    assert with_columns(plain, plain, ["term"]).pairs is None
    assert with_performance(plain, plain).pairs is None
