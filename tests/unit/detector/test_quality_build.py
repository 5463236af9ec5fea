"""What a reference's checks are: where outliers begin, and which shares it would page for itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta

from services.detector.quality.build import beyond_range, outlier_bounds
from services.detector.reference_table import ReferenceColumn
from services.detector.structs import FloatArray

SHARE, WEEK = 0.01, 100_000.0
RNG = np.random.default_rng(7)
MARGIN = math.sqrt(0.1)  # standard deviations that are too small to matter


def bounds(values: FloatArray) -> tuple[float, float]:
    column = ReferenceColumn("x", "f:x", "feature", "numeric", values, np.zeros(0, np.int32), [])
    return outlier_bounds(column, SHARE, WEEK)


def test_outliers_of_a_bounded_column_begin_outside_its_own_range() -> None:
    ages = RNG.integers(18, 80, 5_000).astype(np.float64)

    assert bounds(ages) == pytest.approx((18 - MARGIN * ages.std(), 79 + MARGIN * ages.std()))


def test_outliers_of_a_heavy_tail_begin_far_beyond_its_quantiles_and_not_at_its_largest_number() -> None:
    amounts = RNG.lognormal(8.0, 2.0, 20_000)
    first, third, high = np.quantile(amounts, [0.25, 0.75, 0.999])

    assert bounds(amounts)[1] == high + 3 * (third - first) < amounts.max()


def test_a_column_that_creeps_tells_no_range() -> None:
    counter = np.arange(5_000.0)
    quarter = np.quantile(counter, 0.75) - np.quantile(counter, 0.25)

    assert bounds(counter) == pytest.approx((4.999 - 3 * quarter, 4_994.001 + 3 * quarter))


def test_a_thin_reference_tells_no_range() -> None:
    even = RNG.random(150)

    assert bounds(even)[0] < even.min() - 1.0


def test_values_that_are_missing_have_no_bounds() -> None:
    assert bounds(np.full(10, np.nan)) == (-math.inf, math.inf)


def test_of_a_constant_column_every_other_value_is_outside() -> None:
    assert bounds(np.full(1_000, 3.0)) == (3.0, 3.0)


@pytest.mark.parametrize("rows", [200, 5_000, 1_000_000])
def test_more_than_its_share_lies_beyond_the_range_of_one_reference_in_ten_thousand(rows: int) -> None:
    assert 1e-5 < beta.sf(beyond_range(rows), 2, rows - 1) < 1e-4
