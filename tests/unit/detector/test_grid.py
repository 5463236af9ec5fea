from __future__ import annotations

import numpy as np
import pytest

from services.detector.grid import MAX_ATOMS, Grid, RankScale
from services.detector.structs import FloatArray


def ranks(reference: FloatArray, values: FloatArray) -> FloatArray:
    grid = Grid.of(reference)
    return RankScale.of(grid, grid.counts(reference)).ranks(values, grid.locate(values))


def test_tied_values_share_the_middle_of_their_ranks() -> None:
    reference = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 5.0, 9.0])

    assert ranks(reference, np.array([1.0, 2.0, 5.0, 9.0])).tolist() == [0.125, 0.5, 0.8125, 0.9375]


def test_a_value_between_two_of_the_reference_ranks_between_them() -> None:
    reference = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 5.0, 9.0])

    assert ranks(reference, np.array([1.5, 3.0, 6.0])).tolist() == [0.25, 0.75, 0.875]


def test_values_beyond_the_reference_rank_just_inside_the_open_unit_interval() -> None:
    assert ranks(np.arange(9.0), np.array([-1e300, 1e300])).tolist() == [0.05, 0.95]


def test_missing_values_have_no_cell_and_no_rank() -> None:
    grid = Grid.of(np.arange(9.0))

    assert grid.locate(np.array([np.nan])).tolist() == [-1]
    assert np.isnan(ranks(np.arange(9.0), np.array([np.nan]))).all()


@pytest.mark.parametrize("rows", [400, 5_000, 50_000])
def test_the_ranks_of_a_reference_are_uniform(rows: int) -> None:
    reference = np.random.default_rng(5).lognormal(8, 2, rows)

    found = ranks(reference, reference)

    assert np.abs(np.sort(found) - (np.arange(rows) + 0.5) / rows).max() <= 1 / 512
    assert found.mean() == pytest.approx(0.5, abs=1e-4)


def test_a_column_of_few_values_gives_each_a_cell_of_its_own() -> None:
    grid = Grid.of(np.repeat(np.arange(24.0), 10))

    counts = grid.counts(np.repeat(np.arange(24.0), 10))

    assert sorted(counts[counts > 0].tolist()) == [10] * 24
    assert int(grid.isolated[counts > 0].sum()) == 24


def test_no_cell_of_many_values_holds_more_than_one_512th() -> None:
    rng = np.random.default_rng(5)
    reference = np.where(rng.random(30_000) < 0.3, 0.0, rng.normal(0, 1, 30_000))
    grid = Grid.of(reference)

    shares = grid.counts(reference) / reference.size

    assert shares[~grid.isolated].max() <= 1 / 512 + 1 / reference.size
    assert shares.max() == pytest.approx(0.3, abs=0.02)


def test_cells_are_bounded_however_long_the_reference() -> None:
    assert Grid.of(np.arange(float(MAX_ATOMS))).cells <= 2 * MAX_ATOMS + 33
    assert Grid.of(np.random.default_rng(1).normal(size=100_000)).cells <= 600


@pytest.mark.parametrize("values", [[], [3.0], [1e150, -1e150], [0.0, -0.0, 5e-324]], ids=repr)
def test_odd_references_still_rank(values: list[float]) -> None:
    found = ranks(np.array(values), np.array([-2.0, 0.0, 3.0, 1e150]))

    assert ((found > 0) & (found < 1)).all()
