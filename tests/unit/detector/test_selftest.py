from __future__ import annotations

import numpy as np
import pytest

from services.detector.selftest import own_windows
from services.detector.signals.columns import Codes
from services.detector.structs import IntArray


def deciles(shares: list[list[float]], rows: int) -> tuple[Codes, IntArray]:
    """Return codes of consecutive windows that follow the given laws, and the counts of them all."""
    rng = np.random.default_rng(3)
    codes = np.concatenate([rng.choice(len(law), rows, p=law) for law in shares]).astype(np.int32)
    return codes, np.bincount(codes, minlength=len(shares[0]))


EVEN = [0.1] * 10
LEANING = [0.19] * 5 + [0.01] * 5


def test_independent_rows_are_steady_and_not_overdispersed() -> None:
    found = own_windows(*_order(deciles([EVEN] * 30, 1_000)), ordered=True)

    assert found.phi == pytest.approx(1.0, abs=0.25)
    assert found.peak < 0.03
    assert not found.is_unsteady


def test_one_odd_window_among_few_is_unsteady() -> None:
    assert own_windows(*_order(deciles([EVEN, EVEN, EVEN, LEANING], 1_000)), ordered=True).is_unsteady


def test_one_odd_window_among_a_hundred_is_tolerated_and_two_are_not() -> None:
    assert not own_windows(*_order(deciles([*[EVEN] * 99, LEANING], 1_000)), ordered=True).is_unsteady
    assert own_windows(*_order(deciles([*[EVEN] * 98, LEANING, LEANING], 1_000)), ordered=True).is_unsteady


def test_rows_that_cluster_are_overdispersed() -> None:
    rng = np.random.default_rng(3)
    walk = np.convolve(rng.normal(size=30_200), np.ones(200) / np.sqrt(200), mode="valid")[:30_000]
    codes = np.searchsorted(np.quantile(walk, np.arange(1, 10) / 10), walk).astype(np.int32)

    assert own_windows(codes, 1_000, np.bincount(codes, minlength=10), ordered=True).phi > 8


def test_one_window_or_one_group_says_nothing() -> None:
    codes, counts = deciles([EVEN], 1_000)

    assert own_windows(codes, 1_000, counts, ordered=True).phi == 1.0
    assert not own_windows(np.zeros(9_000, np.int32), 1_000, np.array([9_000]), ordered=True).is_unsteady


def test_windows_of_missing_values_are_left_out() -> None:
    codes, counts = deciles([EVEN] * 4, 1_000)
    codes = np.concatenate([codes, np.full(2_000, -1, np.int32)])

    assert own_windows(codes, 1_000, counts, ordered=True) == own_windows(codes[:4_000], 1_000, counts, ordered=True)


def _order(found: tuple[Codes, IntArray]) -> tuple[Codes, int, IntArray]:
    return found[0], 1_000, found[1]
