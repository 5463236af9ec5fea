"""What an experiment is: independent seeded cases, and what their results say of one promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from scipy.stats import poisson

SURE = 0.99  # quantile of false pages that a promise of so many a month still covers
DAYS_PER_MONTH = 30.0

Case = Callable[[], Any]
"""Runs on its own, in any process: a function of a module with its arguments."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found: named figures, and whether the promise holds."""

    figures: Mapping[str, float]
    holds: bool


@dataclass(frozen=True, slots=True)
class Experiment:
    """One promise put to the test.

    cases: at a scale in (0, 1], the cases to run; a smaller scale runs fewer or shorter ones.
    judge: takes the results of all cases in their order, and the scale.
    """

    name: str
    promise: str
    cases: Callable[[float], Sequence[Case]]
    judge: Callable[[list[Any], float], Measured]


def repeated(case: Callable[..., Any], times: int, *arguments: object) -> Callable[[float], Sequence[Case]]:
    """Return cases `case(*arguments, seed)` for `times` seeds, fewer at a smaller scale."""
    return lambda scale: [partial(case, *arguments, seed) for seed in range(max(round(times * scale), 1))]


def shortened(case: Callable[..., Any], times: int, *arguments: object) -> Callable[[float], Sequence[Case]]:
    """Return cases `case(*arguments, seed, scale)` for `times` seeds, shorter at a smaller scale."""
    return lambda scale: [partial(case, *arguments, seed, scale) for seed in range(times)]


def pages_allowed(pages_per_month: float, days: float) -> int:
    """Return how many false pages in so many days a promise covers: the 99 % quantile of chance."""
    return int(poisson.ppf(SURE, pages_per_month * days / DAYS_PER_MONTH))
