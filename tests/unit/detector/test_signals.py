from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import ndtri

from services.detector.baseline_build import build_baseline
from services.detector.ranks import Ranking
from services.detector.signals.columns import numbers, translated
from services.detector.signals.plan import SignalPlan
from shared.monitors import FeatureSpec
from tests.kit import shipped
from tests.kit.references import finite, loans, served, spec, words

TABLE = loans(3_000)
BASELINE = build_baseline("loans", spec(segments=["channel"], features={"term": FeatureSpec(max=40)}), TABLE)
PLAN = SignalPlan(BASELINE)
PLACES = {column.name: place for place, column in enumerate(BASELINE.columns)}


def test_numbers_become_right_closed_bins_and_levels_their_places() -> None:
    signals = PLAN.served(served(f__term=pa.array([12.0, 13.0, 36.0]), f__region=words("west", "north", "south")))

    assert signals.codes[:, PLACES["term"]].tolist() == [0, 1, 2]
    assert signals.codes[:, PLACES["region"]].tolist() == [2, 0, 1]
    assert signals.codes.dtype == np.int32


def test_missing_unseen_and_out_of_range_have_codes_of_their_own() -> None:
    block = served(f__term=pa.array([None, np.nan, np.inf, 41.0]), f__region=words(None, "east", "north", "east"))

    signals = PLAN.served(block)

    assert signals.codes[:, PLACES["term"]].tolist() == [-1, -1, -1, -1]
    assert signals.codes[:, PLACES["region"]].tolist() == [-1, 3, 0, 3]
    assert signals.grid[:, PLACES["term"]].tolist() == [-1, -1, -1, -1]
    assert np.isnan(signals.ranks[:, 1]).all()


def test_a_null_is_a_level_where_the_reference_has_nulls_and_an_unknown_one_is_other_where_it_has_more() -> None:
    shops = pa.array([None if i % 50 == 0 else f"shop{i % 1_500:04}" for i in range(3_000)])
    baseline = build_baseline("loans", spec(), TABLE.append_column("shop", shops))
    shop = next(place for place, column in enumerate(baseline.columns) if column.name == "shop")
    levels = baseline.columns[shop].levels

    codes = SignalPlan(baseline).served(served(f__shop=words(None, "elsewhere", "shop0001"))).codes[:, shop]

    assert [levels[code] for code in codes.tolist()] == ["__missing__", "__other__", "shop0001"]


def test_a_column_that_a_block_lacks_or_has_as_another_kind_is_all_missing() -> None:
    signals = PLAN.served(served(f__amount=words("a lot", "little"), prediction=words("1", "0")))

    assert signals.codes[:, PLACES["amount"]].tolist() == [-1, -1]
    assert signals.codes[:, PLACES["region"]].tolist() == [-1, -1]
    assert signals.codes[:, PLACES["prediction"]].tolist() == [1, 0]


def test_ranks_are_mid_ranks_of_the_reference_and_normal_scores_their_quantiles() -> None:
    terms = np.array(TABLE["term"].to_pylist(), dtype=float)
    known = terms[terms <= 40]

    signals = PLAN.served(served(f__term=pa.array([12.0, 36.0])))

    expected = [(known < x).mean() + (known == x).mean() / 2 for x in (12.0, 36.0)]
    assert signals.ranks[:, 1].tolist() == pytest.approx(expected, abs=1e-12)
    assert signals.normal_scores[:, 1].tolist() == pytest.approx(ndtri(expected).tolist())


def test_the_mean_normal_score_of_the_reference_is_the_columns_normal_mean() -> None:
    signals = PLAN.served(served(f__amount=TABLE["amount"].combine_chunks(), f__term=TABLE["term"].combine_chunks()))

    assert np.nanmean(signals.normal_scores[:, 0]) == pytest.approx(BASELINE.columns[0].normal_mean)
    assert np.nanmean(signals.normal_scores[:, 1]) == pytest.approx(BASELINE.columns[1].normal_mean)


def test_nothing_but_missing_is_ever_not_finite() -> None:
    extremes = pa.array([1e308, -1e308, 5e-324, -0.0, np.nan, np.inf, -np.inf, None])

    signals = PLAN.served(served(f__amount=extremes, f__term=extremes, score=extremes))

    assert finite(signals.ranks)
    assert finite(signals.normal_scores)
    assert np.nanmax(np.abs(signals.normal_scores)) <= 3.0


def test_signals_of_the_reference_are_the_counts_of_the_baseline() -> None:
    columns = {f"f:{n}": TABLE[n].combine_chunks() for n in ("amount", "term")}
    columns |= {f"f:{n}": TABLE[n].combine_chunks() for n in ("region", "repaid_before")}
    columns |= {"prediction": TABLE["prediction"].combine_chunks(), "score": TABLE["score_1"].combine_chunks()}
    columns["s:channel"] = TABLE["seg_channel"].combine_chunks()

    signals = PLAN.served(pa.RecordBatch.from_pydict(columns))

    for place, column in enumerate(BASELINE.columns):
        for cell in range(len(BASELINE.cells)):
            codes = signals.codes[(signals.cells == cell).any(axis=1), place]
            counted = np.bincount(codes[codes >= 0], minlength=column.bins)
            np.testing.assert_array_equal(counted, column.counts[cell])


def test_signals_do_not_depend_on_how_rows_are_cut_into_blocks() -> None:
    batch = shipped.served("bikes")
    plan = SignalPlan(shipped.baseline("bikes"))

    whole = plan.served(batch.slice(0, 900))
    parts = [plan.served(batch.slice(start, 300)) for start in (0, 300, 600)]

    np.testing.assert_array_equal(whole.codes, np.concatenate([part.codes for part in parts]))
    np.testing.assert_array_equal(whole.cells, np.concatenate([part.cells for part in parts]))
    np.testing.assert_array_equal(whole.ranks, np.concatenate([part.ranks for part in parts]))


@pytest.mark.parametrize("rows", [3_000, 30])
def test_numbers_stand_in_the_bins_and_grid_cells_that_a_search_finds(rows: int) -> None:
    """A reference of few rows has bins whose edges divide its grid cells."""
    table = loans(rows)
    baseline = build_baseline("loans", spec(), table)
    values = np.concatenate([np.random.default_rng(71).normal(1_000, 800, 500), table["amount"].to_numpy(), [np.nan]])
    place = [column.name for column in baseline.columns].index("amount")
    column, known = baseline.columns[place], ~np.isnan(values)

    signals = SignalPlan(baseline).served(served(f__amount=pa.array(values)))

    for found, edges in ((signals.codes, column.edges), (signals.grid, column.grid_edges)):
        assert found[:, place].tolist() == np.where(known, np.searchsorted(edges, values), -1).tolist()
    cells, ranks = Ranking(column).place(values)
    np.testing.assert_array_equal(signals.grid[:, place], cells)
    np.testing.assert_array_equal(signals.ranks[:, baseline.numeric.index(place)], ranks)


def test_a_dictionary_is_translated_once_per_value_in_order_of_first_occurrence() -> None:
    asked: list[str] = []

    def code(text: str) -> int:
        asked.append(text)
        return len(asked)

    assert translated(pa.array(["b", "a", None, "b", "a"]), code, -7).tolist() == [1, 2, -7, 1, 2]
    assert asked == ["b", "a"]


def test_numbers_of_any_type_are_floats_and_huge_ones_are_bounded() -> None:
    assert numbers(pa.array([True, False, None])).tolist()[:2] == [1.0, 0.0]
    assert numbers(pa.array([2**53, -1])).tolist() == [2.0**53, -1.0]
    assert numbers(pa.array([1e308, -1e308])).tolist() == [1e150, -1e150]
