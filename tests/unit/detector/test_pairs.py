from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from services.detector.banks.pairs import ClosedCorrelations, CorrelationBank
from services.detector.grid import Grid, RankScale
from services.detector.statistics.correlation import GATE_DELTA, Correlation, pearson_delta, spearman_delta
from services.detector.structs import FloatArray

PAIRS = np.array([[0, 1], [2, 0]])


def three_columns(rows: int, seed: int, weight: float = 1.0) -> FloatArray:
    x, y, z = np.random.default_rng(seed).normal(size=(3, rows))
    return np.stack([x, weight * x + y, np.exp(z + x)], axis=1)


def mid_ranks(values: FloatArray, reference: FloatArray) -> FloatArray:
    columns = []
    for column, before in zip(values.T, reference.T, strict=True):
        grid = Grid.of(before)
        columns.append(RankScale.of(grid, grid.counts(before)).ranks(column, grid.locate(column)))
    return np.stack(columns, axis=1)


def windows_of(values: FloatArray, ranks: FloatArray, size: int) -> list[ClosedCorrelations]:
    return CorrelationBank(size, PAIRS).update(values, ranks)


def test_each_window_has_the_correlations_of_its_own_rows() -> None:
    values = three_columns(250, seed=80)
    ranks = mid_ranks(values, values[:100])

    first, second = windows_of(values, ranks, 100)

    assert [(w.row, w.start_row, w.end_row) for w in (first, second)] == [(99, 0, 99), (199, 100, 199)]
    for window, start in ((first, 0), (second, 100)):
        rows = values[start : start + 100]
        for (i, j), found in zip(PAIRS.tolist(), window.pearson, strict=True):
            assert found.rows == 100
            assert found.r == pytest.approx(pearsonr(rows[:, i], rows[:, j]).statistic, abs=1e-12)


def test_correlations_of_mid_ranks_are_spearmans() -> None:
    values = three_columns(900, seed=81)
    values[:, 0] = np.round(values[:, 0])

    (window,) = windows_of(values, mid_ranks(values, values), 900)

    for (i, j), found in zip(PAIRS.tolist(), window.spearman, strict=True):
        assert found.r == pytest.approx(spearmanr(values[:, i], values[:, j]).statistic, abs=1e-9)


def test_a_row_without_one_of_the_values_counts_towards_the_window_only() -> None:
    values = three_columns(100, seed=82)
    values[::4, 1] = np.nan
    values[1, 2] = np.inf
    known = np.isfinite(values[:, :2]).all(axis=1)

    (window,) = windows_of(values, np.where(np.isfinite(values), values, np.nan), 100)

    assert [found.rows for found in window.pearson] == [75, 99]
    assert [found.rows for found in window.spearman] == [75, 99]
    assert window.pearson[0].r == pytest.approx(pearsonr(values[known, 0], values[known, 1]).statistic, abs=1e-12)


def test_a_column_that_does_not_vary_has_no_correlation() -> None:
    values = three_columns(50, seed=83)
    values[:, 0] = 0.1

    (window,) = windows_of(values, values, 50)

    assert window.pearson == (Correlation(None, 50), Correlation(None, 50))


@pytest.mark.parametrize("large", [1.1e100, -1e200, 1.7e308])
def test_a_value_too_large_to_add_up_is_missing_but_keeps_its_rank(large: float) -> None:
    values = three_columns(50, seed=84)
    ranks = mid_ranks(values, values)
    values[0, 0] = large

    (window,) = windows_of(values, ranks, 50)

    assert (window.pearson[0].rows, window.spearman[0].rows) == (49, 50)
    assert window.pearson[0].r == pytest.approx(pearsonr(values[1:, 0], values[1:, 1]).statistic, abs=1e-12)


def test_the_largest_values_that_add_up_have_a_correlation() -> None:
    values = three_columns(50, seed=84)
    large = values[:, :2] / np.abs(values[:, :2]).max() * 1e100

    (window,) = CorrelationBank(50, PAIRS[:1]).update(large, large)

    assert window.pearson[0].r == pytest.approx(pearsonr(values[:, 0], values[:, 1]).statistic, abs=1e-12)


def test_a_relation_that_turns_is_found_by_both_and_one_that_stays_by_neither() -> None:
    reference = three_columns(20_000, seed=85)
    of_reference = windows_of(reference, mid_ranks(reference, reference), 20_000)[0]
    turned, same = three_columns(1_000, seed=86, weight=-0.5), three_columns(1_000, seed=87)

    turned_window, same_window = (windows_of(w, mid_ranks(w, reference), 1_000)[0] for w in (turned, same))

    for judge, kind in ((pearson_delta, "pearson"), (spearman_delta, "spearman")):
        before = getattr(of_reference, kind)[0]
        found, unchanged = judge(getattr(turned_window, kind)[0], before), judge(getattr(same_window, kind)[0], before)
        assert found is not None
        assert unchanged is not None
        assert found.delta < -1.0
        assert abs(unchanged.delta) < GATE_DELTA
        assert found.p_value < 1e-12
        assert unchanged.p_value > 1e-3


def test_windows_that_were_handed_out_do_not_move_and_no_pair_is_no_correlation() -> None:
    values = three_columns(3, seed=88)
    bank = CorrelationBank(1, np.zeros((0, 2), np.int64))

    assert [(w.row, w.pearson, w.spearman) for w in bank.update(values, values)] == [(row, (), ()) for row in range(3)]


def test_pairs_and_tables_that_do_not_fit_are_refused() -> None:
    bank = CorrelationBank(10, PAIRS)
    with pytest.raises(ValueError, match="different shapes"):
        bank.update(np.zeros((2, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="outside the 2 columns"):
        bank.update(np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="at least one row"):
        CorrelationBank(0, PAIRS)
