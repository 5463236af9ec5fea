"""Distances of the shipped sets against an oracle that was computed offline with scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.baseline import Baseline, Column
from services.detector.signals.plan import SignalPlan
from services.detector.statistics.distances import chi2_stat, js_distance_base2, linf, psi_floor
from services.detector.statistics.grid_distances import ks_stat, wasserstein_norm
from services.detector.structs import IntArray
from tests.kit import shipped

SETS = ("car_loan", "bikes", "sea_abrupt")
EXACT = 1e-9
FEW_VALUES = 400  # grid cells: every value of such a column has its own


def windows(name: str) -> list[tuple[dict[str, dict[str, object]], dict[str, IntArray], dict[str, IntArray]]]:
    """Return the oracle's numbers, and our counts and grid counts, of every window by its column."""
    baseline, oracle = shipped.baseline(name), shipped.oracle(name)
    signals = SignalPlan(baseline).served(shipped.served(name))
    found = []
    for chunk in oracle["chunks"]:
        rows = slice(chunk["first_row"], chunk["last_row"] + 1)
        counts, grids = {}, {}
        for place, column in enumerate(baseline.columns):
            codes, cells = signals.codes[rows, place], signals.grid[rows, place]
            counts[column.name] = np.bincount(codes[codes >= 0], minlength=column.bins)
            grids[column.name] = np.bincount(cells[cells >= 0], minlength=column.grid_counts.shape[1])
        found.append((chunk["univariate"], counts, grids))
    return found


def oracle_name(column: Column) -> str:
    return "score_1" if column.name == "score" else column.name


def numbers(entry: dict[str, object], column: Column) -> list[float]:
    names = ["psi", "js_distance", "chi2_binned"] if column.is_numeric else ["psi", "js_distance", "chi2", "l_infinity"]
    return [float(str(entry[name])) for name in names]


def level_counts(column: Column, counts: dict[str, int]) -> list[int]:
    lowered = {{"False": "false", "True": "true"}.get(level, level): count for level, count in counts.items()}
    assert set(lowered) <= set(column.levels)
    return [lowered.get(level, 0) for level in column.levels]


def reference_of(baseline: Baseline, name: str) -> Column:
    return next(column for column in baseline.columns if column.name == name)


@pytest.mark.parametrize("name", SETS)
def test_reference_bins_are_the_oracles(name: str) -> None:
    oracle = shipped.oracle(name)

    for column in shipped.baseline(name).columns:
        expected = oracle["reference_counts"][oracle_name(column)]
        if column.is_numeric:
            assert column.edges.tolist() == pytest.approx(oracle["edges"][oracle_name(column)], rel=1e-12)
            assert column.counts[0].tolist() == expected
        else:
            assert column.counts[0].tolist() == level_counts(column, expected)


@pytest.mark.parametrize("name", SETS)
def test_counts_and_distances_of_every_window_equal_the_oracle(name: str) -> None:
    baseline = shipped.baseline(name)

    for univariate, counts, _ in windows(name):
        for column in baseline.columns:
            entry, window, reference = univariate[oracle_name(column)], counts[column.name], column.counts[0]
            expected = entry["bin_counts"] if column.is_numeric else level_counts(column, entry["counts"])  # type: ignore[arg-type]
            assert window.tolist() == expected
            found = [psi_floor(window, reference), js_distance_base2(window, reference), chi2_stat(window, reference)]
            found += [] if column.is_numeric else [linf(window, reference)]
            assert found == pytest.approx(numbers(entry, column), rel=EXACT, abs=EXACT), column.name


@pytest.mark.parametrize("name", SETS)
def test_ks_and_wasserstein_from_the_grid_are_near_the_oracle(name: str) -> None:
    for univariate, _, grids in windows(name):
        for column in (column for column in shipped.baseline(name).columns if column.is_numeric):
            entry, grid, reference = univariate[oracle_name(column)], grids[column.name], column.grid_counts[0]
            few = column.grid_counts.shape[1] < FEW_VALUES
            ks = ks_stat(grid, reference)
            wasserstein = wasserstein_norm(grid, reference, column.grid_edges, sd=column.sd, median=column.median)

            assert ks == pytest.approx(float(str(entry["ks"])), abs=EXACT if few else 1 / 512), column.name
            assert wasserstein == pytest.approx(float(str(entry["wasserstein_over_ref_std"])), rel=0.02, abs=1e-3)
