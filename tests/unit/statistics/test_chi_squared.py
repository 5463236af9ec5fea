"""The laws of chi-squared against `scipy.stats`, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, ncx2

from services.detector.statistics import chi_squared
from services.detector.structs import FloatArray

DICE = np.random.default_rng(1)
ROWS = 20_000
DF = DICE.integers(1, 60, ROWS).astype(float)
X = np.concatenate([np.zeros(100), [1e-300, 1e6, 1e12], DICE.exponential(50, ROWS - 103)])
CENTRALITY = DICE.exponential(10, ROWS) + 1e-9


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (chi_squared.chance_of(X, DF), chi2.sf(X, DF)),
        (chi_squared.median(DF), chi2.median(DF)),
        (chi_squared.noncentral_chance_of(X, DF, CENTRALITY), ncx2.sf(X, DF, CENTRALITY)),
        *(
            (chi_squared.noncentral_at(chance, DF, CENTRALITY), ncx2.isf(chance, DF, CENTRALITY))
            for chance in (0.5, 1e-3, 1e-9)
        ),
    ],
    ids=["chance", "median", "non-central chance", "an even chance", "one in a thousand", "one in a billion"],
)
def test_values_are_those_of_scipy_stats(ours: FloatArray, theirs: FloatArray) -> None:
    np.testing.assert_array_equal(ours.view(np.uint64), theirs.view(np.uint64))
