from __future__ import annotations

import numpy as np
import pytest

from services.detector.intervals import Intervals, intervals_of
from services.detector.structs import FloatArray

SOURCE = np.random.default_rng(70)
LARGEST = 1.7e308
EDGES = {
    "none": np.zeros(0),
    "one": np.ones(1),
    "two": np.array([-1.0, 3.0]),
    "normal": SOURCE.normal(size=500),
    "skewed": SOURCE.lognormal(0.0, 3.0, 600),
    "even": np.arange(2_000.0),
    "crowded": np.append(1.0 + np.arange(600) * 1e-9, [-1e9, 1e9] * 30),
    "whole range of floats": np.array([-LARGEST, -1.0, 0.0, 1.0, LARGEST]),
    "smallest floats": np.array([0.0, 5e-324, 1e-323]),
    "next to one another": 1e15 + np.arange(10) / 8,
}


@pytest.fixture(params=list(EDGES.values()), ids=list(EDGES))
def edges(request: pytest.FixtureRequest) -> FloatArray:
    found: FloatArray = np.unique(request.param)
    return found


def values_for(edges: FloatArray) -> FloatArray:
    """Return values on every edge, beside it and anywhere."""
    extremes = [LARGEST, -LARGEST, np.inf, -np.inf, 0.0, -0.0, 5e-324]
    around = [np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf), edges + 0.5]
    return np.concatenate([edges, *around, extremes, SOURCE.normal(size=1_000), SOURCE.lognormal(0, 4, 1_000)])


def test_an_interval_is_as_many_edges_as_lie_below_the_value(edges: FloatArray) -> None:
    values = values_for(edges)

    found = Intervals.between(edges).locate(values)

    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.searchsorted(edges, values))


def test_what_is_missing_lies_in_no_interval(edges: FloatArray) -> None:
    assert intervals_of(np.array([np.nan]), edges).tolist() == [-1]
