"""Sequential detectors of codes under laws that change with the hour."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from services.detector.banks.e_detector import HALF_LIVES, WEIGHTS, EDetectorBank
from services.detector.banks.levels import reference_rates
from services.detector.banks.rare_levels import RareLevelBank
from services.detector.state import load, save
from services.detector.structs import FloatArray, IntArray

Codes = NDArray[np.int32]
BUDGETED = 23.4
EDGES = norm.ppf(np.arange(1, 10) / 10)


def moved(by: float) -> FloatArray:
    """Return the shares in the deciles of a standard normal whose mean has moved."""
    return np.diff(norm.cdf(EDGES - by), prepend=0.0, append=1.0)


DAY, NIGHT = moved(0.6), moved(-0.6)


def bank(laws: FloatArray, threshold: float = BUDGETED) -> EDetectorBank:
    return EDetectorBank([np.arange(10)], [laws], np.array([0.01]), np.array([threshold]), 200, np.array([0.1]))


def hours(rows: int, each: int) -> IntArray:
    return np.arange(rows) // each % 2


def drawn(laws: FloatArray, which: IntArray, seed: int = 3) -> Codes:
    source = np.random.default_rng(seed)
    codes = np.empty((len(which), 1), np.int32)
    for law in range(len(laws)):
        codes[which == law, 0] = source.choice(10, int((which == law).sum()), p=laws[law])
    return codes


def test_codes_that_follow_their_hours_raise_nothing_where_a_law_for_all_hours_does() -> None:
    laws, which = np.array([NIGHT, DAY]), hours(200_000, 10_000)
    codes = drawn(laws, which)

    assert len(bank(laws).update(codes, which)) == 0
    assert len(bank(laws.mean(axis=0)).update(codes)) > 10


@pytest.mark.parametrize("each", [5_000, 37])
def test_a_step_in_all_hours_is_found(each: int) -> None:
    laws, which = np.array([NIGHT, DAY]), hours(20_000, each)
    codes = drawn(laws, which)
    codes[12_000:] = drawn(np.array([moved(-0.1), moved(1.1)]), which)[12_000:]

    found = bank(laws).update(codes, which)

    assert 12_000 + 200 <= found.row[0] < 12_000 + 900


def test_two_equal_laws_are_one() -> None:
    codes = drawn(np.array([DAY]), np.zeros(3_000, np.int64))
    single, double = bank(NIGHT), bank(np.array([NIGHT, NIGHT]))

    one, two = single.update(codes), double.update(codes, hours(3_000, 7))

    assert one.row.tolist() == two.row.tolist()
    assert one.statistic.tolist() == pytest.approx(two.statistic.tolist(), rel=1e-6)


def test_evidence_under_changing_laws_is_as_defined() -> None:
    laws, which = np.array([NIGHT, DAY]), hours(500, 13)
    codes = drawn(np.array([DAY, NIGHT]), which)
    found = bank(laws, threshold=1e9)

    found.update(codes, which)

    logs: dict[tuple[int, float], float] = {}
    ratios = {half_life: np.ones(10) for half_life in HALF_LIVES}
    for code, law in zip(codes[:, 0].tolist(), which.tolist(), strict=True):
        shares = laws[law]
        for half_life in HALF_LIVES:
            h = ratios[half_life] * shares
            h /= h.sum()
            distance = float(((h - shares) ** 2 / shares).sum())
            for weight in WEIGHTS:
                gained = math.log((1 - weight) + weight * h[code] / shares[code])
                gained -= math.log(1 + weight * math.sqrt(0.01 * distance))
                logs[half_life, weight] = float(np.logaddexp(logs.get((half_life, weight), -math.inf), 0.0)) + gained
            kept = 0.5 ** (1 / half_life)
            h = kept * h
            h[code] += 1 - kept
            ratios[half_life] = h / shares
    assert np.log(found._state.mixture.ravel()).tolist() == pytest.approx(list(logs.values()))


def test_a_bank_of_several_laws_resumes_bit_for_bit() -> None:
    laws, which = np.array([NIGHT, DAY]), hours(2_000, 150)
    codes = drawn(laws, which)
    whole, part = bank(laws), bank(laws)

    whole.update(codes, which)
    for start in range(0, 2_000, 90):
        part.update(codes[start : start + 90], which[start : start + 90])
        part = load(EDetectorBank, save(part))

    assert save(part) == save(whole)


def test_a_rate_has_risen_above_all_hours_or_fallen_below_all() -> None:
    laws = np.array([[990, 10], [960, 40]]) * 10

    found = RareLevelBank.of_references([np.array([-1, 0])], [laws], np.array([10.0]))._rates

    each = reference_rates(np.array([100, 400]), np.array([10_000, 10_000]))
    assert found.low.tolist() == [each.low[0]]
    assert found.high.tolist() == [each.high[1]]
    assert found.observed.tolist() == reference_rates(np.array([500]), np.array([20_000])).observed.tolist()
