from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats.contingency import crosstab
from sklearn.metrics import mutual_info_score

from services.detector.signals.columns import Codes
from services.detector.statistics.joint import (
    JOINT_BINS,
    MOST_ROWS,
    fifths,
    informative_pairs,
    joint_codes,
    mutual_information,
)
from services.detector.statistics.verdict import judge
from services.detector.structs import IntArray

PAIRS = np.array([[0, 1], [2, 0]])
FIRST = PAIRS[:1]


def codes_of(*columns: list[int]) -> Codes:
    return np.array(columns, np.int32).T.copy()


def normal_fifths(rho: float, rows: int, seed: int) -> Codes:
    """Return fifths of two normal columns; their marginals are the same whatever the correlation."""
    x, noise = np.random.default_rng(seed).normal(size=(2, rows))
    both = np.stack([x, rho * x + math.sqrt(1 - rho * rho) * noise], axis=1)
    codes: Codes = np.minimum(ndtr(both) * 5, 4).astype(np.int32)
    return codes


def joint_counts(codes: Codes, pairs: IntArray) -> IntArray:
    """Return the table of each pair, [pairs, 25]."""
    places = [joint_codes(codes[:, i], codes[:, j]) for i, j in pairs.tolist()]
    return np.array([np.bincount(place[place >= 0], minlength=JOINT_BINS) for place in places])


def test_ten_deciles_become_fifths_two_by_two() -> None:
    assert fifths(np.full(10, 100), ordered=True).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_bins_of_a_column_of_few_values_join_the_fifth_of_their_middle() -> None:
    assert fifths(np.array([60, 5, 35]), ordered=True).tolist() == [1, 3, 4]
    assert fifths(np.array([7]), ordered=True).tolist() == [2]


def test_the_four_most_frequent_levels_keep_a_code_and_the_others_share_one() -> None:
    assert fifths(np.array([5, 100, 70, 80, 3, 90]), ordered=False).tolist() == [4, 0, 3, 2, 4, 1]


def test_a_column_without_a_reference_still_has_codes() -> None:
    assert fifths(np.zeros(3), ordered=True).tolist() == [4, 4, 4]


def test_joint_counts_are_the_cross_table_of_rows_in_which_both_are_known() -> None:
    codes = np.random.default_rng(90).integers(-1, 5, (500, 3)).astype(np.int32)

    found = joint_counts(codes, PAIRS)

    for (i, j), table in zip(PAIRS.tolist(), found, strict=True):
        known = (codes[:, i] >= 0) & (codes[:, j] >= 0)
        expected = crosstab(codes[known, i], codes[known, j], levels=(range(5), range(5))).count
        assert table.reshape(5, 5).tolist() == expected.tolist()


def test_mutual_information_is_scikit_learns_less_its_mean_without_a_relation() -> None:
    codes = normal_fifths(0.5, 4_000, seed=92)

    found = mutual_information(joint_counts(codes, FIRST))

    assert found.tolist() == pytest.approx([mutual_info_score(codes[:, 0], codes[:, 1]) - 16 / 8_000], abs=1e-12)


def test_unrelated_columns_have_no_information_on_average_even_in_few_rows() -> None:
    few = [joint_counts(normal_fifths(0.0, 200, seed), FIRST)[0] for seed in range(500)]

    assert mutual_information(np.array(few)).mean() == pytest.approx(0.0, abs=0.005)
    assert mutual_information(np.zeros((2, JOINT_BINS))).tolist() == [0.0, 0.0]


def related_columns(rows: int) -> Codes:
    """Return six columns: 1 and 4 are one another's, 0 follows 3 loosely, 2 is alone, 5 is constant."""
    alone = normal_fifths(0.0, rows, seed=93)
    close, loose = normal_fifths(0.9, rows, seed=94), normal_fifths(0.5, rows, seed=95)
    constant = np.zeros((rows, 1), np.int32)
    return np.hstack([loose[:, :1], close[:, :1], alone[:, :1], loose[:, 1:], close[:, 1:], constant])


def test_the_pairs_that_say_most_come_first() -> None:
    codes = related_columns(5_000)

    assert informative_pairs(codes, most=2).tolist() == [[1, 4], [0, 3]]
    assert not np.any(informative_pairs(codes) == 5)


def test_a_long_reference_is_thinned_evenly() -> None:
    codes = related_columns(3 * MOST_ROWS)

    assert informative_pairs(codes, most=4).tolist() == informative_pairs(codes[::3], most=4).tolist()
    assert informative_pairs(codes, most=2).tolist() == [[1, 4], [0, 3]]


def test_rows_without_one_of_the_values_do_not_relate_columns() -> None:
    codes = related_columns(5_000)
    codes[np.random.default_rng(96).random(codes.shape) < 0.3] = -1

    assert informative_pairs(codes, most=2).tolist() == [[1, 4], [0, 3]]


@pytest.mark.parametrize("columns", [0, 1])
def test_fewer_than_two_columns_make_no_pair(columns: int) -> None:
    assert informative_pairs(np.zeros((10, columns), np.int32)).shape == (0, 2)


def table_of(rho: float, rows: int, seed: int) -> IntArray:
    table: IntArray = joint_counts(normal_fifths(rho, rows, seed), FIRST)[0]
    return table


@pytest.mark.parametrize(("before", "after"), [(0.6, -0.6), (0.0, 0.5), (0.8, 0.4)])
def test_a_relation_that_turns_is_found_in_one_window_while_both_columns_stay(before: float, after: float) -> None:
    reference, window = table_of(before, 20_000, seed=97), table_of(after, 1_000, seed=98)

    joint = judge(window, reference, ordered=False)
    alone = [
        judge(window.reshape(5, 5).sum(axis=axis), reference.reshape(5, 5).sum(axis=axis), ordered=True)
        for axis in (0, 1)
    ]

    assert joint.psi_debiased >= 0.1
    assert joint.p_value < 1e-6
    assert all(verdict.psi_debiased < 0.02 and verdict.p_value > 0.05 for verdict in alone)


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
def test_windows_of_an_unchanged_relation_are_not_drift(rho: float) -> None:
    reference = table_of(rho, 20_000, seed=99)

    verdicts = [judge(table_of(rho, 1_000, seed), reference, ordered=False) for seed in range(300)]

    assert max(verdict.psi_debiased for verdict in verdicts) < 0.05
    assert min(verdict.p_value for verdict in verdicts) > 1e-4
