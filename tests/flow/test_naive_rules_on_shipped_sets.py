"""What the naive rules page on the recorded sets: the numbers of the demo's table, and where they come from."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from river import drift

from services.cli.adapters.naive_rules import compared, recorded_traffic
from services.cli.demo import sets
from services.cli.demo.naive_columns import Traffic
from services.cli.demo.naive_rules import adwin_pages, p_value_pages, page_hinkley_pages, psi_pages
from tests.kit.shipped import oracle

WINDOWS = {"car_loan": 5_000, "bikes": 1_000}  # of the oracle
DETECTORS: dict[str, Any] = {"ADWIN": drift.ADWIN, "PageHinkley": drift.PageHinkley}
OURS = {"ADWIN": adwin_pages, "PageHinkley": page_hinkley_pages}

stream = cache(recorded_traffic)


def named(traffic: Traffic, oracle_name: str) -> Any:
    name = "score" if oracle_name == "score_1" else oracle_name
    (found,) = (column for column in traffic.columns if column.name == name)
    return found


def test_the_table_of_the_demo() -> None:
    found = compared(None, {"car_loan": [25_100, 25_600]}, {"car_loan": 303.0, "bikes": 366.0})

    counts = {
        line.rule: [
            line.models["car_loan"].pages,
            line.models["car_loan"].before_change,
            line.models["bikes"].pages,
        ]
        for line in found.rules
    }
    assert counts == {
        "PSI > 0.1": [125, 0, 30],
        "PSI > 0.2": [119, 0, 24],
        "KS / chi-squared p < 0.05": [145, 13, 45],
        "ADWIN (river's defaults)": [4, 0, 412],
        "Page-Hinkley (river's defaults)": [2_686, 1_363, 1_562],
        "accuracy - 5 points / RMSE + 5 %": [0, 0, 8],
        "Driftline": [2, 0, 0],
    }


def test_fewer_rows_are_the_beginning_of_the_same_stream() -> None:
    short, whole = recorded_traffic("bikes", 2_000), stream("bikes")

    for ours, theirs in zip(short.columns, whole.columns, strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values[:2_000])
    assert len(short.answers.losses) == 2_000


@pytest.mark.parametrize("name", sets.SETS)
@pytest.mark.parametrize("threshold", [0.1, 0.2])
def test_psi_pages_where_the_oracles_psi_is_over_the_threshold(name: str, threshold: float) -> None:
    chunks = oracle(name)["chunks"]
    for column in chunks[0]["univariate"]:
        theirs = [chunk["last_row"] for chunk in chunks if chunk["univariate"][column]["psi"] > threshold]

        assert psi_pages(named(stream(name), column), WINDOWS[name], threshold) == theirs, column


@pytest.mark.parametrize("name", sets.SETS)
def test_p_values_page_where_the_oracles_are_below_five_percent(name: str) -> None:
    chunks = oracle(name)["chunks"]
    for column in chunks[0]["univariate"]:
        found = [(chunk["last_row"], chunk["univariate"][column]) for chunk in chunks]
        if found[0][1].get("chi2_dof") == 1 and "ks_p" not in found[0][1]:
            continue  # the oracle has no Yates' correction
        theirs = [last for last, values in found if values.get("ks_p", values.get("chi2_p")) < 0.05]

        assert p_value_pages(named(stream(name), column), WINDOWS[name]) == theirs, column


@pytest.mark.parametrize("name", sets.SETS)
@pytest.mark.parametrize("detector", DETECTORS)
def test_sequential_rules_page_exactly_when_river_does(name: str, detector: str) -> None:
    paged = 0
    for column in stream(name).columns:
        theirs, rows = DETECTORS[detector](), []
        for row, value in enumerate(column.values.tolist()):
            if np.isnan(value):
                continue
            theirs.update(value)
            if theirs.drift_detected:
                rows.append(row)
        paged += len(rows)

        assert OURS[detector](column) == rows, column.name
    assert paged > 0


def test_quality_is_measured_against_the_references_own() -> None:
    loans, bikes = (oracle(name)["reference_performance"] for name in sets.SETS)

    assert 1 - stream("car_loan").answers.reference_losses.mean() == pytest.approx(loans["accuracy"], rel=1e-12)
    assert np.sqrt(stream("bikes").answers.reference_losses.mean()) == pytest.approx(bikes["rmse"], rel=1e-12)
    assert 1 - stream("car_loan").answers.losses.mean() == pytest.approx(accuracy_of_the_oracle("car_loan"), rel=1e-12)


def accuracy_of_the_oracle(name: str) -> float:
    chunks = [chunk["performance"] for chunk in oracle(name)["chunks"]]
    return float(np.average([chunk["accuracy"] for chunk in chunks], weights=[chunk["n_labelled"] for chunk in chunks]))


def test_the_known_change_is_where_the_sets_source_says() -> None:
    for name, row in sets.KNOWN_CHANGES.items():
        assert f"At row {row:,} of the predictions" in (sets.folder(name) / "SOURCE.md").read_text(encoding="utf-8")
