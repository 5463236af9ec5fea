from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from services.detector.baseline import Column
from services.detector.baseline_build import build_baseline
from services.detector.cell_windows import CellWindows
from services.detector.column_build import build_column
from services.detector.grid import Grid
from services.detector.judge import Judge
from services.detector.reference_table import ReferenceColumn
from services.detector.report import WindowRow
from services.detector.signals.plan import SignalPlan
from services.detector.statistics.summary import OutlierBounds, outlier_bounds
from services.detector.structs import FloatArray
from services.detector.window_rows import Span, WindowRows
from shared.monitors import ModelSpec

SPEC = ModelSpec(task="regression", reference="r.csv")
QUANTILES = {"q01": 0.01, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "q99": 0.99}
NORMAL = np.random.default_rng(70).normal(100, 15, 20_000)
TERMS = np.random.default_rng(71).choice([6.0, 12.0, 24.0, 36.0, 48.0], 5_000, p=[0.1, 0.3, 0.3, 0.2, 0.1])


def column_of(reference: FloatArray) -> Column:
    raw = ReferenceColumn("x", "x", "feature", "numeric", reference, np.zeros(0, np.int32), [])
    return build_column(raw, np.zeros((reference.size, 1), np.int32), 1)[0]


def summary(reference: FloatArray, window: FloatArray) -> WindowRow:
    """Return the row of a window of one numeric column."""
    rows, values = reference.size, pa.array(reference)
    baseline = build_baseline("m", SPEC, pa.table({"x": values, "prediction": np.arange(rows, dtype=np.float64)}))
    batch = pa.record_batch({"f:x": window, "prediction": np.zeros(window.size)})
    windows = CellWindows.of(baseline, [window.size]).update(SignalPlan(baseline).served(batch))
    found = WindowRows(baseline, "1").of(Judge(baseline).judge(windows), 0, Span(0, window.size - 1))
    return next(row for row in found if row.signal == "x")


def bounds_of(reference: FloatArray) -> OutlierBounds:
    found = outlier_bounds(column_of(reference))
    assert found is not None
    return found


SUMMARY = ("mean", "sd", "minimum", "maximum", *QUANTILES, "outlier_rate", "compliance_rate")


def quantiles(found: WindowRow) -> list[float]:
    return [getattr(found, name) for name in QUANTILES]


def test_moments_and_the_share_missing_are_those_of_the_window() -> None:
    window = NORMAL[:1_000].copy()
    window[::10] = np.nan

    found = summary(NORMAL, window)

    assert (found.n, found.n_missing) == (900, 100)
    assert (found.mean, found.sd) == pytest.approx((np.nanmean(window), np.nanstd(window)), rel=1e-12)
    assert (found.minimum, found.maximum) == (float(np.nanmin(window)), float(np.nanmax(window)))


def test_quantiles_of_a_column_of_few_values_are_exact() -> None:
    window = np.random.default_rng(72).choice([6.0, 12.0, 24.0, 36.0, 48.0], 1_000, p=[0.01, 0.04, 0.2, 0.5, 0.25])

    assert quantiles(summary(TERMS, window)) == [
        float(np.quantile(window, share, method="inverted_cdf")) for share in QUANTILES.values()
    ]


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (30.0, 1.0), (0.0, 3.0), (500.0, 0.1)])
def test_quantiles_of_a_continuous_column_lie_in_the_cell_of_the_exact_ones(shift: float, scale: float) -> None:
    window = np.random.default_rng(73).normal(100, 15, 2_000) * scale + shift
    grid = Grid(column_of(NORMAL).grid_edges)
    exact = np.quantile(window, list(QUANTILES.values()), method="inverted_cdf")

    found = np.array(quantiles(summary(NORMAL, window)))

    assert np.abs(grid.locate(found) - grid.locate(exact)).max() == 0
    assert (found >= window.min()).all()
    assert (found <= window.max()).all()
    assert (np.diff(found) >= 0).all()


def test_quantiles_of_the_reference_are_within_a_cell_of_its_own() -> None:
    exact = np.quantile(NORMAL, list(QUANTILES.values()))

    assert quantiles(summary(NORMAL, NORMAL)) == pytest.approx(exact.tolist(), abs=0.5)


def test_outliers_lie_three_interquartile_ranges_beyond_the_outer_quantiles() -> None:
    low, q25, q75, high = np.quantile(TERMS, [0.001, 0.25, 0.75, 0.999])
    reach = 3 * (q75 - q25)
    edges = column_of(TERMS).grid_edges

    bounds = bounds_of(TERMS)

    assert bounds.low == edges[edges < low - reach].max()
    assert bounds.high == edges[edges >= high + reach].min()


def test_the_bounds_of_a_continuous_column_move_outwards_to_an_edge_of_the_grid() -> None:
    low, q25, q75, high = np.quantile(NORMAL, [0.001, 0.25, 0.75, 0.999])
    reach = 3 * (q75 - q25)

    bounds = bounds_of(NORMAL)

    assert low - 2 * reach < bounds.low < low - reach
    assert high + reach < bounds.high < high + 2 * reach


@pytest.mark.parametrize("reference", [NORMAL, TERMS], ids=["continuous", "few values"])
def test_the_rate_of_outliers_is_the_share_outside_the_bounds(reference: FloatArray) -> None:
    window = reference[:1_000].copy()
    window[:30] *= 100
    window[30:35] *= -100
    bounds = bounds_of(reference)

    assert summary(reference, window).outlier_rate == np.mean((window <= bounds.low) | (window > bounds.high)) == 0.035
    assert summary(reference, reference).outlier_rate == 0.0


def test_a_value_rarer_than_one_in_a_thousand_may_be_an_outlier_of_its_own_reference() -> None:
    rare = np.repeat([0.0, 1.0, 2.0, 1_000.0], [4_000, 4_000, 1_991, 9])
    common = np.repeat([0.0, 1.0, 2.0, 1_000.0], [4_000, 4_000, 1_989, 11])

    assert summary(rare, rare).outlier_rate == 9 / 10_000
    assert summary(common, common).outlier_rate == 0.0


@pytest.mark.parametrize("reference", [NORMAL, TERMS], ids=["continuous", "few values"])
def test_compliance_is_the_share_inside_the_range_of_the_reference(reference: FloatArray) -> None:
    low, high = reference.min(), reference.max()
    window = np.array([low, high, np.nextafter(low, -np.inf), np.nextafter(high, np.inf), np.median(reference)])

    assert summary(reference, window).compliance_rate == 3 / 5
    assert summary(reference, reference).compliance_rate == 1.0


def test_any_other_value_than_a_constant_reference_s_is_an_outlier() -> None:
    window = np.array([5.0, 5.0, 4.0, np.nextafter(5.0, 6.0)])

    found = summary(np.full(100, 5.0), window)

    assert (found.outlier_rate, found.compliance_rate) == (0.5, 0.5)
    assert summary(np.full(100, 5.0), np.full(7, 5.0)).median == 5.0


def test_a_window_without_values_has_no_summary() -> None:
    found = summary(NORMAL, np.full(3, np.nan))

    assert (found.n, found.n_missing) == (0, 3)
    assert {getattr(found, name) for name in SUMMARY} == {None}


def test_a_reference_without_values_bounds_nothing() -> None:
    empty = np.full(5, np.nan)

    found = summary(empty, np.array([1.0, 2.0, 3.0]))

    assert outlier_bounds(column_of(empty)) is None
    assert (found.outlier_rate, found.compliance_rate) == (None, None)
    assert (found.minimum, found.median, found.maximum) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("values", [[1e150, -1e150], [3.0], [5e-324, 0.0, -0.0], [-1e150] * 5 + [1e150]], ids=repr)
def test_no_number_of_a_summary_is_nan_or_infinite(values: list[float]) -> None:
    window = np.array(values)

    for reference in (window, NORMAL, np.zeros(3), np.full(2, np.nan)):
        row = summary(reference, window)
        found = [getattr(row, name) for name in SUMMARY]
        assert all(number is None or math.isfinite(number) for number in found)
