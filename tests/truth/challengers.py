"""Champion and challenger on the same requests: how many labels a gap takes, and how often an equal one is promoted.

The challenger is right in 92 % of requests, the champion in 90 %, and they disagree on every tenth. Everybody looks
after every pair. Beside it, the same gap without pairs, each label of one version only: the z-test of two proportions,
two-sided at 5 % with a power of 80 %, looked at once, when all labels are there; and the same bets as of pairs, on
requests that have nothing to do with each other.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

from services.detector.challengers.betting import LOG_WEIGHTS, SIZES, STAKES, STEPS, log_evidence, needed
from tests.truth.experiment import SURE, Experiment, Measured, repeated

CASES, RUNS = 10, 100  # of each case
ALPHA, POWER = 0.05, 0.8
MOST_PAIRS = 12_000
CHAMPION, CHALLENGER, DISAGREE = 0.90, 0.92, 0.10
GAP = CHALLENGER - CHAMPION
LIMIT = math.log(needed(ALPHA, 1))


def decided_after(won: float, lost: float, seed: int) -> NDArray[np.float64]:
    """Return for each run after how many pairs the challenger is promoted; infinite if never."""
    rng = np.random.default_rng([seed, 29])
    steps = rng.choice(np.array([1, -1, 0], np.int8), p=[won, lost, 1 - won - lost], size=(RUNS, MOST_PAIRS))
    wins, losses = (np.cumsum(steps == side, axis=1, dtype=np.float64) for side in (1, -1))
    capital = np.zeros(wins.shape)
    for stake, weight in zip(STAKES, LOG_WEIGHTS, strict=True):
        capital += np.exp(weight + wins * math.log1p(stake) + losses * math.log1p(-stake))
    for run in range(RUNS):
        counts = np.bincount(steps[run].astype(np.int64) * STEPS + STEPS, minlength=SIZES)
        assert math.isclose(math.log(capital[run, -1]), log_evidence(counts, 0.0), rel_tol=1e-9, abs_tol=1e-9)
    crossed = np.log(capital) >= LIMIT
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1.0, np.inf)


def equal(seed: int) -> int:
    """Return how often a challenger that is as good as the champion is promoted."""
    return int(np.isfinite(decided_after(DISAGREE / 2, DISAGREE / 2, seed)).sum())


def better(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the labels until a better challenger is promoted, with pairs and with unrelated requests."""
    paired = decided_after((DISAGREE + GAP) / 2, (DISAGREE - GAP) / 2, seed)
    unrelated = decided_after(CHALLENGER * (1 - CHAMPION), CHAMPION * (1 - CHALLENGER), seed)
    return paired, 2 * unrelated


def z_test_labels() -> int:
    """Return the labels of both versions together."""
    spread = CHAMPION * (1 - CHAMPION) + CHALLENGER * (1 - CHALLENGER)
    sure = float(norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER))
    return 2 * math.ceil(sure**2 * spread / GAP**2)


def _promoted(found: list[int], _: float) -> Measured:
    runs = RUNS * len(found)
    most = int(binom.ppf(SURE, runs, ALPHA))
    return Measured({"promoted": sum(found), "runs": runs, "allowed": most}, sum(found) <= most)


def _labels(found: list[tuple[NDArray[np.float64], NDArray[np.float64]]], _: float) -> Measured:
    paired, unrelated = (np.concatenate(side) for side in zip(*found, strict=True))
    fixed, within = z_test_labels(), float(np.quantile(paired, POWER, method="higher"))
    figures = {
        "median": float(np.median(paired)),
        "power_80": within,
        "unpaired_z_power_80": fixed,
        "unpaired_bets_power_80": float(np.quantile(unrelated, POWER, method="higher")),
    }
    return Measured(figures, within < fixed)


EXPERIMENTS = (
    Experiment(
        "false-promotion",
        "of equal challengers at most 5 % are promoted, looking after every pair",
        repeated(equal, CASES),
        _promoted,
    ),
    Experiment(
        "promotion",
        "pairs show two points of accuracy in fewer labels than an unpaired test",
        repeated(better, CASES),
        _labels,
    ),
)
