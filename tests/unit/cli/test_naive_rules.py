from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.demo.naive_columns import Answers, Traffic, categorical, numeric, traffic
from services.cli.demo.naive_rules import (
    RULES,
    adwin_pages,
    p_value_pages,
    page_hinkley_pages,
    psi_pages,
    quality_pages,
)
from services.cli.demo.order import Event
from services.detector.reference_table import ReferenceTable
from services.detector.structs import FloatArray
from shared.monitors import ModelSpec
from tests.kit.references import spec

REFERENCE = np.arange(1.0, 101.0)  # 1 to 100: the quantile edges are 10.9, 20.8, ..., 90.1
HALVES = ["a", "b"] * 50


def event(*, is_label: bool, request_id: str, **fields: object) -> Event:
    return Event(0, is_label, "m", request_id, msgspec.json.encode({"request_id": request_id, "model": "m", **fields}))


def made(request_id: str, prediction: object, **fields: object) -> Event:
    return event(is_label=False, request_id=request_id, model_version="1", prediction=prediction, **fields)


def told(request_id: str, label: object) -> Event:
    return event(is_label=True, request_id=request_id, ts="2024-01-01T00:00:00Z", label=label)


def answers(losses: FloatArray, usual: FloatArray, *, is_regression: bool = False) -> Answers:
    return Answers(is_regression, losses, np.arange(len(losses)), usual)


def loans() -> ReferenceTable:
    table = pa.table(
        {
            "amount": [1.0, 2.0, None, 4.0],
            "region": ["north", "south", None, "south"],
            "repaid": [True, False, True, True],
            "prediction": [1, 0, 1, 1],
            "score_1": [0.9, 0.2, 0.8, 0.7],
            "label": [1, 0, 0, 0],
        }
    )
    return ReferenceTable("m", spec(), table)


def test_the_same_values_in_another_order_are_no_page() -> None:
    shuffled = np.random.default_rng(3).permutation(np.tile(REFERENCE, 3))

    assert psi_pages(numeric("x", shuffled, REFERENCE), 300, 0.1) == []
    assert p_value_pages(numeric("x", shuffled, REFERENCE), 300) == []


def test_psi_of_two_levels_is_the_sum_of_difference_times_log_ratio() -> None:
    # (.7 - .5) ln(.7/.5) + (.3 - .5) ln(.3/.5) = .2 ln(7/3) = .16946
    column = categorical("x", ["a"] * 7 + ["b"] * 3, HALVES)

    assert psi_pages(column, 10, 0.1694) == [9]
    assert psi_pages(column, 10, 0.1695) == []


def test_psi_floors_the_share_of_a_level_that_is_new() -> None:
    # .5 of a level that the reference lacks: (.5 - 1e-4) ln(.5/1e-4) = 4.258, and its other half -.5 ln(.5) = .347.
    column = categorical("x", ["a"] * 5 + ["new"] * 5, ["a"] * 100)

    assert psi_pages(column, 10, 4.60) == [9]
    assert psi_pages(column, 10, 4.61) == []


def test_bins_are_closed_on_the_right_and_equal_edges_are_one() -> None:
    column = numeric("x", np.array([0.0, 1.0, 1.5, 2.0, np.nan]), np.array([1.0] * 6 + [2.0] * 5))

    assert column.bins.tolist() == [0, 0, 1, 1, -1]
    assert column.reference_counts.tolist() == [6, 5, 0]


def test_a_page_stands_at_the_last_row_of_its_window_and_a_partial_window_is_left_out() -> None:
    column = numeric("x", np.concatenate([REFERENCE, REFERENCE + 1_000, REFERENCE[:99] + 1_000]), REFERENCE)

    assert psi_pages(column, 100, 0.2) == [199]
    assert p_value_pages(column, 100) == [199]


def test_missing_numbers_are_left_out_and_a_window_of_nothing_else_is_no_page() -> None:
    column = numeric("x", np.concatenate([np.full(100, np.nan), REFERENCE, np.full(100, np.nan)]), REFERENCE)

    assert psi_pages(column, 100, 0.0001) == []
    assert p_value_pages(column, 100) == []
    assert page_hinkley_pages(column) == [100 + row for row in page_hinkley_pages(numeric("x", REFERENCE, REFERENCE))]


def test_missing_is_a_level_of_a_category() -> None:
    column = categorical("x", [None] * 10, ["a"] * 100)

    assert psi_pages(column, 10, 0.2) == [9]
    assert p_value_pages(column, 10) == [9]


@pytest.mark.parametrize(("often", "pages"), [(62, []), (65, [99])])
def test_chi_squared_of_two_levels_has_yates_correction(often: int, pages: list[int]) -> None:
    # Of 100 + 100 events: 62 against 50 gives p = .117; 65 against 50, p = .045.
    column = categorical("x", ["a"] * often + ["b"] * (100 - often), HALVES)

    assert p_value_pages(column, 100) == pages


def test_page_hinkley_on_large_raw_values_pages_at_every_30th_event() -> None:
    amounts = np.random.default_rng(5).normal(40_000, 10_000, 300)

    assert page_hinkley_pages(numeric("x", amounts, REFERENCE)) == list(range(29, 300, 30))


def test_adwin_sees_a_flag_that_changes_and_no_text() -> None:
    assert adwin_pages(categorical("x", [False] * 500 + [True] * 500, [])) == [511]
    assert adwin_pages(categorical("x", ["no"] * 500 + ["yes"] * 500, [])) == []


@pytest.mark.parametrize(("wrong", "pages"), [(15, []), (16, [99])])
def test_accuracy_pages_once_it_is_more_than_five_points_down(wrong: int, pages: list[int]) -> None:
    losses = np.repeat([1.0, 0.0], [wrong, 100 - wrong])
    usual = np.repeat([1.0, 0.0], [10, 90])

    assert quality_pages(answers(losses, usual), 100) == pages


@pytest.mark.parametrize(("error", "pages"), [(10.4, []), (10.6, [9, 19])])
def test_a_regression_pages_once_its_rmse_is_more_than_five_percent_up(error: float, pages: list[int]) -> None:
    losses, usual = np.full(25, error**2), np.full(10, 100.0)

    assert quality_pages(answers(losses, usual, is_regression=True), 10) == pages


def test_a_model_without_labels_has_no_page_of_quality() -> None:
    assert quality_pages(answers(np.zeros(0), np.zeros(10)), 10) == []


def test_columns_are_the_features_prediction_and_score_of_all_traffic() -> None:
    events = [
        made("a", 1, features={"amount": 5, "region": "north", "repaid": True}, scores={"0": 0.1, "1": 0.9}),
        made("b", 0, features={"amount": None, "region": "west", "repaid": False}, scores={"0": 0.6, "1": 0.4}),
    ]

    columns = {column.name: column for column in traffic(events, loans()).columns}

    assert list(columns) == ["amount", "region", "repaid", "prediction", "score"]
    assert columns["amount"].reference.tolist() == [1.0, 2.0, 4.0]
    np.testing.assert_array_equal(columns["amount"].values, [5.0, np.nan])
    assert columns["region"].reference_counts.tolist() == [1, 2, 1, 0]  # north, south, missing, and west of the stream
    assert columns["region"].bins.tolist() == [0, 3]
    assert columns["repaid"].values.tolist() == columns["prediction"].values.tolist() == [1.0, 0.0]
    assert columns["score"].values.tolist() == [0.9, 0.4]


def test_answers_come_in_the_order_of_labels_at_the_row_that_was_made_last() -> None:
    features = {"amount": 1, "region": "north", "repaid": True}
    events = [
        made("a", 1, features=features),
        made("b", 0, features=features),
        told("b", 1),
        made("c", 1, features=features),
        told("a", 1),
        told("of another model", 1),
    ]

    found = traffic(events, loans()).answers

    assert found.losses.tolist() == [1.0, 0.0]
    assert found.rows.tolist() == [1, 2]
    assert found.reference_losses.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_the_losses_of_a_regression_are_squared_errors() -> None:
    table = pa.table({"x": [1.0, 2.0], "prediction": [10.0, 20.0], "label": [13.0, 20.0]})
    reference = ReferenceTable("m", ModelSpec(task="regression", reference="reference.parquet"), table)

    found = traffic([made("a", 7.5, features={"x": 1}), told("a", 9)], reference).answers

    assert found.losses.tolist() == [2.25]
    assert found.reference_losses.tolist() == [9.0, 0.0]


def test_each_rule_asks_every_column() -> None:
    moved = [numeric(name, REFERENCE + 1_000, REFERENCE) for name in ("x", "y")]
    stream = Traffic(moved, answers(np.ones(100), np.zeros(100)))

    pages = {rule.name: rule.pages(stream, 100) for rule in RULES}

    assert pages == {
        "PSI > 0.1": [99, 99],
        "PSI > 0.2": [99, 99],
        "KS / chi-squared p < 0.05": [99, 99],
        "ADWIN (river's defaults)": pages["ADWIN (river's defaults)"],
        "Page-Hinkley (river's defaults)": [29, 59, 89] * 2,
        "accuracy - 5 points / RMSE + 5 %": [99],
    }
