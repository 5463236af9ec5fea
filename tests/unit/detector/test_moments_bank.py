from __future__ import annotations

import math

import numpy as np
import pytest

from services.detector.banks.moments import MomentsBank


def test_moments_equal_those_of_all_values_at_once() -> None:
    values = np.random.default_rng(50).normal(1e6, 3.0, size=(5_000, 2))
    values[::3, 1] = np.nan
    bank = MomentsBank(2)
    bank.update(values)
    found = bank.moments()
    assert found.events.tolist() == [5_000, np.isfinite(values[:, 1]).sum()]
    np.testing.assert_allclose(found.mean, np.nanmean(values, axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.squares / found.events, np.nanvar(values, axis=0), rtol=1e-8)
    assert found.minimum.tolist() == np.nanmin(values, axis=0).tolist()
    assert found.maximum.tolist() == np.nanmax(values, axis=0).tolist()


def test_a_series_without_values_has_an_empty_range() -> None:
    found = MomentsBank(1).moments()
    assert (found.events[0], found.mean[0], found.minimum[0], found.maximum[0]) == (0, 0.0, math.inf, -math.inf)


def test_moments_that_were_handed_out_do_not_move() -> None:
    bank = MomentsBank(1)
    before = bank.moments()
    bank.update(np.ones((3, 1)))
    assert before.events[0] == 0
    assert bank.moments().mean[0] == pytest.approx(1.0)
