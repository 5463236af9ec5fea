"""The compiled pass over closed windows gives what the definitions give, one window after another."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.statistics import distances, grid_distances, window_kernel
from services.detector.statistics.verdict import pooling_orders
from services.detector.structs import FloatArray

NAMES = {
    "psi": window_kernel.PSI,
    "psi_floor": window_kernel.PSI_FLOOR,
    "js_distance_base2": window_kernel.JS,
    "hellinger": window_kernel.HELLINGER,
    "chi2_stat": window_kernel.CHI2,
    "linf": window_kernel.LINF,
}


def found(windows: FloatArray, cells: list[int], references: FloatArray) -> FloatArray:
    table = np.empty((len(windows), window_kernel.WIDTH))
    orders = pooling_orders(references, ordered=True)
    window_kernel.statistics(windows, np.array(cells), references, orders, table)
    return table


@pytest.mark.parametrize("seed", range(20))
def test_every_distance_is_that_of_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins = int(rng.integers(1, 30))
    references = rng.multinomial(5_000, rng.dirichlet(np.full(bins, 0.5)), size=3).astype(np.float64)
    windows = rng.multinomial(400, rng.dirichlet(np.full(bins, 0.5)), size=4).astype(np.float64)
    cells = [2, 0, 1, 2]

    table = found(windows, cells, references)

    for window, cell, row in zip(windows, cells, table, strict=True):
        for name, at in NAMES.items():
            expected = getattr(distances, name)(window, references[cell])
            assert row[at] == pytest.approx(expected, rel=1e-10, abs=1e-12), name


def test_a_side_without_events_says_nothing() -> None:
    table = found(np.array([[0.0, 0.0], [3.0, 4.0]]), [0, 1], np.array([[5.0, 5.0], [0.0, 0.0]]))

    assert table[:, [window_kernel.N, window_kernel.REFERENCE_N]].tolist() == [[0, 10], [7, 0]]
    assert np.isnan(table[:, list(NAMES.values())]).all()


@pytest.mark.parametrize("seed", range(20))
def test_distances_on_the_grid_are_those_of_their_definitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width = int(rng.integers(3, 60))
    edges = np.sort(rng.normal(size=width - 1))
    references = rng.multinomial(5_000, rng.dirichlet(np.ones(width)), size=2).astype(np.int32)
    windows = rng.multinomial(300, rng.dirichlet(np.ones(width)), size=3).astype(np.int32)
    table = np.empty((3, window_kernel.GRID_WIDTH))

    ends, limits = np.full((3, 2), np.nan), np.array([0, width, 1, 1])
    window_kernel.grid_statistics(windows, np.array([1, 0, 1]), references, edges, ends, limits, table)

    for window, cell, row in zip(windows, [1, 0, 1], table, strict=True):
        ks = grid_distances.ks_stat(window, references[cell])
        wasserstein = grid_distances.wasserstein_norm(window, references[cell], edges, sd=1.0, median=0.0)
        assert row[: window_kernel.QUANTILES].tolist() == pytest.approx([ks, wasserstein, 0, 0], rel=1e-10, abs=1e-12)
        assert np.isnan(row[window_kernel.QUANTILES :]).all()
