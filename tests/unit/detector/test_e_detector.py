from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from services.detector.banks.detections import Detections
from services.detector.banks.e_detector import HALF_LIVES, WEIGHTS, EDetectorBank
from services.detector.structs import FloatArray

Codes = NDArray[np.int32]
DECILES = np.full(10, 0.1)
BUDGETED = 23.4  # half a false alert a week over 7 billion updates
NEVER = 1e9


def bank(
    *laws: FloatArray, threshold: float = BUDGETED, tolerance: float = 0.01, min_events: int = 200
) -> EDetectorBank:
    """Return the bank of series with these shares, a code a bin."""
    return EDetectorBank(
        [np.arange(len(law)) for law in laws],
        list(laws),
        np.full(len(laws), tolerance),
        np.full(len(laws), threshold),
        min_events,
    )


def draw(*parts: tuple[int, FloatArray], series: int = 1, seed: int = 80) -> Codes:
    """Return codes [rows, series]: each part is rows and the shares they are drawn from."""
    source = np.random.default_rng(seed)
    return np.concatenate([source.choice(len(law), (rows, series), p=law) for rows, law in parts]).astype(np.int32)


def shifted(by: float) -> FloatArray:
    """Return the shares in the deciles of a standard normal after its mean moved."""
    edges = norm.ppf(np.arange(1, 10) / 10) - by
    return np.diff(norm.cdf(edges), prepend=0.0, append=1.0)


def naive(codes: Codes, law: FloatArray, tolerance: float) -> list[float]:
    """Return log M of each half-life and weight, as the definition has it."""
    logs: dict[tuple[int, float], float] = {}
    h = {half_life: law.copy() for half_life in HALF_LIVES}
    for code in codes.tolist():
        for half_life in HALF_LIVES:
            distance = float(((h[half_life] - law) ** 2 / law).sum())
            for weight in WEIGHTS:
                gained = math.log((1 - weight) + weight * h[half_life][code] / law[code])
                gained -= math.log(1 + weight * math.sqrt(tolerance * distance))
                before = logs.get((half_life, weight), -math.inf)
                logs[half_life, weight] = float(np.logaddexp(before, 0.0)) + gained
            kept = 0.5 ** (1 / half_life)
            h[half_life] = kept * h[half_life]
            h[half_life][code] += 1 - kept
    return list(logs.values())


def mixture_of(bank: EDetectorBank) -> FloatArray:
    """Return M of the first series."""
    mixture = bank.snapshot()["mixture"]
    assert isinstance(mixture, np.ndarray)
    return np.ravel(mixture[0])


@pytest.mark.parametrize("law", [DECILES, np.array([0.6, 0.3, 0.0995, 0.0005])], ids=["deciles", "rare bins"])
def test_twenty_thousand_events_add_up_to_the_definition(law: FloatArray) -> None:
    changed = np.roll(law, 1) * 0.1 + law * 0.9
    codes = draw((9_000, law), (2_000, changed), (9_000, law))
    subject = bank(law, threshold=NEVER)
    for part in np.split(codes, [5_000, 11_000, 20_000]):
        subject.update(part)
    expected = naive(codes[:, 0], law, 0.01)
    assert mixture_of(subject) == pytest.approx(np.exp(expected), rel=1e-9)


def first_of(found: Detections, series: int) -> list[int]:
    """Return the row of each series' first detection."""
    return [int(found.row[found.series == s].min()) for s in range(series) if (found.series == s).any()]


@pytest.mark.parametrize(("by", "least", "most"), [(0.32, 700, 2_000), (0.46, 300, 800), (0.73, 200, 300)])
def test_a_moved_mean_is_found_after_the_events_that_theory_grants_it(by: float, least: int, most: int) -> None:
    found = bank(*[DECILES] * 20).update(draw((2_000, DECILES), (5_000, shifted(by)), series=20))
    rows = first_of(found, 20)
    assert len(rows) == 20
    assert least < float(np.median(rows)) - 2_000 < most


def test_nothing_is_found_where_nothing_changed() -> None:
    laws = [DECILES, np.array([0.5, 0.5]), np.array([0.7, 0.2, 0.09, 0.009, 0.001])]
    subject = bank(*laws, threshold=math.log(1e6))
    codes = np.concatenate([draw((200_000, law), seed=seed) for seed, law in enumerate(laws)], axis=1)
    assert len(subject.update(codes)) == 0


def test_false_alarms_stay_within_the_bound_of_the_mixture() -> None:
    found = bank(*[DECILES] * 20, threshold=math.log(2_000), tolerance=0.0, min_events=0).update(
        draw((10_000, DECILES), series=20)
    )
    assert len(found) <= 200_000 / 2_000


@pytest.mark.parametrize("share", [0.53, 0.55])  # 0.55 is the bound: a distance of .01
def test_a_change_within_the_tolerance_is_found_no_more_often_than_none(share: float) -> None:
    law, codes = np.array([0.5, 0.5]), draw((200_000, np.array([share, 1.0 - share])))
    assert len(bank(law, threshold=math.log(10_000)).update(codes)) <= 200_000 / 10_000
    assert len(bank(law, threshold=math.log(10_000), tolerance=0.0).update(codes)) > 200_000 / 10_000


def test_a_reference_that_is_a_little_off_raises_nothing() -> None:
    references = np.random.default_rng(81).multinomial(5_000, DECILES, size=5)
    subject = EDetectorBank.of_references(list(references), [True] * 5, np.full(5, BUDGETED), 200)
    assert len(subject.update(draw((40_000, DECILES), series=5))) == 0


def test_a_change_is_reported_with_its_onset_and_the_bin_that_moved_most() -> None:
    law = np.array([0.6, 0.3, 0.1])
    found = bank(law).update(draw((3_000, law), (1_500, np.array([0.5, 0.2, 0.3]))))
    assert 3_200 <= found.row[0] < 3_500
    assert found.row[0] - found.events[0] + 1 == pytest.approx(3_000, abs=60)
    assert found.events[0] >= 200
    assert found.mean[0] == pytest.approx(0.2, abs=0.05)
    assert found.statistic[0] >= BUDGETED
    assert found.direction[0] == 1


def test_a_bin_that_empties_has_lost_its_share() -> None:
    law = np.array([0.25, 0.25, 0.5])
    found = bank(law).update(draw((500, law), (1_500, np.array([0.5, 0.5, 0.0]))))
    assert found.direction[0] == -1
    assert found.mean[0] == pytest.approx(-0.5, abs=0.1)


def test_an_alarm_waits_for_its_events_and_a_shorter_burst_is_nothing() -> None:
    burst = draw((1_000, DECILES), (40, np.eye(10)[3]), (3_000, DECILES))
    assert len(bank(DECILES, min_events=0).update(burst)) > 0
    assert len(bank(DECILES).update(burst)) == 0
    found = bank(DECILES).update(draw((1_000, DECILES), (300, np.eye(10)[3])))
    assert found.events.tolist() == [200]


def test_a_series_starts_again_after_its_detection() -> None:
    found = bank(DECILES).update(np.zeros((1_000, 1), np.int32))
    assert found.row.tolist()[0] >= 200
    assert np.diff(found.row).tolist() == [found.row[0] + 1] * (len(found) - 1)
    assert len(found) == 4


def test_evidence_stays_finite_however_long_an_alarm_waits() -> None:
    law = np.array([0.001, 0.999])
    subject = bank(law, min_events=10_000)
    found = subject.update(np.zeros((10_100, 1), np.int32))
    assert len(found) == 1
    assert math.isfinite(found.statistic[0])


def test_missing_and_unseen_codes_are_no_events() -> None:
    codes = draw((1_000, DECILES), (1_000, shifted(0.8)))
    gapped = np.full((6_000, 1), -1, np.int32)
    gapped[1::3] = codes
    gapped[2::3] = 10
    plain, holed = bank(DECILES), bank(DECILES)
    expected, found = plain.update(codes), holed.update(gapped)
    assert len(expected) > 0
    assert (found.row // 3).tolist() == expected.row.tolist()
    assert found.statistic.tolist() == expected.statistic.tolist()
    assert mixture_of(holed).tolist() == mixture_of(plain).tolist()


def test_a_constant_column_has_no_test() -> None:
    subject = EDetectorBank.of_references([np.array([50_000])], [False], np.array([1.0]), 0)
    assert len(subject.update(np.zeros((10_000, 1), np.int32))) == 0


def test_rare_levels_pool_into_bins_of_a_hundredth() -> None:
    reference = np.array([9_000, 900, 40, 40, 20])
    subject = EDetectorBank.of_references([reference], [False], np.array([BUDGETED]), 200)
    fields = subject.snapshot()
    assert np.asarray(fields["groups"]).tolist() == [0, 1, 2, 2, 2]
    assert np.asarray(fields["shares"]).tolist() == pytest.approx(np.array([9_000.5, 900.5, 100.5]) / 10_001.5)
    assert np.asarray(fields["tolerance"]).tolist() == [0.01]


def test_a_thin_reference_widens_the_tolerance() -> None:
    subject = EDetectorBank.of_references([np.full(10, 20)], [True], np.array([BUDGETED]), 200)
    assert np.asarray(subject.snapshot()["tolerance"]).tolist() == [pytest.approx(2 * 9 / 200)]


def test_what_is_no_law_is_refused() -> None:
    with pytest.raises(ValueError, match="without events"):
        EDetectorBank.of_references([np.zeros(3)], [True], np.array([1.0]), 0)
    with pytest.raises(ValueError, match="sum to 1"):
        bank(np.array([0.5, 0.6]))
    with pytest.raises(ValueError, match="sum to 1"):
        bank(np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="every code a bin"):
        EDetectorBank([np.array([0, 2])], [np.array([0.5, 0.5])], np.zeros(1), np.ones(1), 0)
    with pytest.raises(ValueError, match="different series"):
        EDetectorBank([], [np.ones(1)], np.zeros(1), np.ones(1), 0)
