"""The one currency of all detectors: expected false detections per stream week.

A model may page `false_pages_per_month` times for nothing. Each kind of detector owns a share of that budget, and its
constant follows from the share and from how often the kind looks. Siegmund, Sequential Analysis, 1985; Lorden 1971.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

WEEKS_PER_MONTH = 30.0 / 7.0
OVERSHOOT = 1.166  # of a normal random walk over a boundary, both ends: b = h + 1.166
MOST_EXPONENT = 700.0  # e^700 still is a float
ADWIN_CLOCK = 32  # updates between two checks


class Kind(StrEnum):
    """Kinds of detectors that share the budget."""

    WINDOWS = "windows"
    DAY_WINDOWS = "day_windows"
    PAGE_HINKLEY = "page_hinkley"
    ADWIN = "adwin"
    E_DETECTOR = "e_detector"
    RARE_LEVELS = "rare_levels"
    PERFORMANCE = "performance"
    CLOSED_COHORTS = "closed_cohorts"
    DATA_QUALITY = "data_quality"


PERCENT = MappingProxyType(
    {
        Kind.WINDOWS: 22,
        Kind.DAY_WINDOWS: 10,
        Kind.PAGE_HINKLEY: 15,
        Kind.ADWIN: 5,
        Kind.E_DETECTOR: 15,
        Kind.RARE_LEVELS: 10,
        Kind.PERFORMANCE: 15,
        Kind.CLOSED_COHORTS: 3,
        Kind.DATA_QUALITY: 5,
    }
)
# Kinds that this release runs.
PRESENT = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Shares:
    """Expected false detections per stream week that each kind of a model's detectors may make."""

    windows: float
    day_windows: float
    page_hinkley: float
    adwin: float
    e_detector: float
    rare_levels: float
    performance: float
    closed_cohorts: float
    data_quality: float


def shares(false_pages_per_month: float, present: Iterable[Kind] = PRESENT) -> Shares:
    """Return a model's shares; an absent kind gives its own to the windows."""
    week = false_pages_per_month / WEEKS_PER_MONTH
    kinds = {Kind.WINDOWS, *present}
    percent = {kind: PERCENT[kind] if kind in kinds else 0 for kind in Kind}
    percent[Kind.WINDOWS] = 100 - sum(percent[kind] for kind in Kind if kind is not Kind.WINDOWS)
    return Shares(**{kind.value: week * percent[kind] / 100 for kind in Kind})


def cusum_run_length(threshold: float, slack: float) -> float:
    """Return the mean number of updates until a two-sided CUSUM of unit-variance normals reports nothing real.

    Siegmund's (e^{2kb} - 2kb - 1) / (2k²) with b = threshold + 1.166, halved for the two sides.
    """
    exponent = min(2.0 * slack * (threshold + OVERSHOOT), MOST_EXPONENT)
    return (math.exp(exponent) - exponent - 1.0) / (2.0 * slack * slack) / 2.0


def page_hinkley_threshold(share: float, updates_per_week: float, slack: float) -> float:
    """Return the threshold at which all Page-Hinkley series together make `share` false detections a week.

    `updates_per_week` counts the events of every series: a row counts once for each column in each of its cells.
    """
    return _cusum_threshold(updates_per_week / share, slack)


def one_sided_threshold(share: float, updates_per_week: float, slack: float) -> float:
    """Return the same of sums that look to one side each; `updates_per_week` counts those of every sum."""
    return _cusum_threshold(updates_per_week / share / 2.0, slack)


def _cusum_threshold(run_length: float, slack: float) -> float:
    low, high = 0.0, MOST_EXPONENT / (2.0 * slack)
    for _ in range(100):
        middle = (low + high) / 2.0
        if cusum_run_length(middle, slack) < run_length:
            low = middle
        else:
            high = middle
    return high


def page_hinkley_chance(statistic: float, updates_per_week: float, slack: float) -> float:
    """Return how many detections at least this strong a week without change brings."""
    return updates_per_week / cusum_run_length(statistic, slack)


def adwin_delta(share: float, updates_per_week: float) -> float:
    """Return the confidence at which all ADWIN series together make at most `share` false cuts a week."""
    return min(share * ADWIN_CLOCK / updates_per_week, 0.05)


def likelihood_threshold(share: float, updates_per_week: float, alternatives: int = 3) -> float:
    """Return h = ln(ARL0) + ln(alternatives) of likelihood-ratio CUSUMs that share `updates_per_week` flags."""
    return math.log(max(updates_per_week / share, 1.0)) + math.log(alternatives)


def likelihood_chance(statistic: float, updates_per_week: float, alternatives: int = 3) -> float:
    """Return how many detections at least this strong a week without change brings, at most."""
    return updates_per_week * alternatives * math.exp(-statistic)


def e_detector_threshold(share: float, updates_per_week: float) -> float:
    """Return ln(A) at which all e-detectors together make at most `share` false detections a week."""
    return math.log(max(updates_per_week / share, 1.0))


def e_detector_chance(statistic: float, updates_per_week: float) -> float:
    """Return how many detections at least this strong a week without change brings, at most."""
    return updates_per_week * math.exp(-statistic)


def running_level(share: float, windows_per_week: float, running: int) -> float:
    """Return the level that so many running windows must pass each, for `share` false detections a week at most."""
    return min(0.01, math.pow(share / windows_per_week, 1.0 / running))


@dataclass(frozen=True, slots=True)
class WindowLevels:
    """A window detects when p < `single`, or when p < `running` in two running windows of its cell."""

    single: float
    running: float


def window_levels(share: float, windows_per_week: float) -> WindowLevels:
    """Return the levels at which `windows_per_week` windows make at most `share` false detections a week.

    Half of the share goes to single windows and half to pairs.
    """
    each = share / (2.0 * windows_per_week)
    return WindowLevels(single=min(1e-4, each), running=min(0.01, math.sqrt(each)))
