"""How unequal the answers to groups are: differences and ratios of rates, by Fairlearn's names and definitions.

`demographic_parity` compares the rates of positive predictions, `equal_opportunity` the true positive rates, and
`equalized_odds` these and the false positive rates, of which the worse one counts. A difference is the largest rate
less the smallest, a ratio the smallest by the largest; the ratio of `demographic_parity` is the disparate impact.

Intervals hold for all pairs of groups at once (Bonferroni), so that which groups are the extremes may be seen first: of
differences Newcombe's hybrid score (1998, method 10), of ratios Donner and Zou's MOVER (2012) from the same limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from statistics import NormalDist
from typing import NamedTuple

from services.detector.performance.metrics.value import Metrics, Value, undefined
from services.detector.statistics.proportions import wilson

_CHANCE = 0.05
_NORMAL = NormalDist()


class Counts(NamedTuple):
    """The labelled predictions of one group."""

    tn: int
    fp: int
    fn: int
    tp: int


class Rate(NamedTuple):
    """A share of one group."""

    group: str
    part: int
    whole: int


class Kind(NamedTuple):
    """A rate that groups are compared by."""

    name: str
    part: Callable[[Counts], int]
    whole: Callable[[Counts], int]
    of: str  # what the whole is


SELECTED = Kind("selection_rate", lambda c: c.tp + c.fp, sum, "labelled predictions")
TPR = Kind("tpr", lambda c: c.tp, lambda c: c.tp + c.fn, "labels of the positive class")
FPR = Kind("fpr", lambda c: c.fp, lambda c: c.fp + c.tn, "labels of the negative class")

KINDS: Mapping[str, tuple[Kind, ...]] = {
    "demographic_parity": (SELECTED,),
    "equal_opportunity": (TPR,),
    "equalized_odds": (TPR, FPR),
}


class _Limits(NamedTuple):
    """A rate with its score interval."""

    rate: float
    low: float
    high: float


def fairness(groups: Mapping[str, Counts], min_count: int) -> Metrics:
    """Return every metric between groups; a rate of less than `min_count` events leaves its group out, with a note."""
    found: Metrics = {}
    for name, kinds in KINDS.items():
        compared = [rates(groups, kind, min_count) for kind in kinds]
        few = next((kind for kind, of in zip(kinds, compared, strict=True) if len(of) < 2), None)
        if few is not None:
            why = undefined(f"fewer than two groups have {min_count} {few.of}")
            found |= {f"{name}_difference": why, f"{name}_ratio": why}
            continue
        note = _left_out(groups, kinds, compared, min_count)
        pairs = sum(len(of) * (len(of) - 1) // 2 for of in compared)
        z = _NORMAL.inv_cdf(1.0 - _CHANCE / (2 * pairs))
        limits = [[_Limits(r.part / r.whole, *wilson(r.part, r.whole, z)) for r in of] for of in compared]
        differences, ratios = [_difference(of) for of in limits], [_ratio(of) for of in limits]
        value, low, high = (max(of) for of in zip(*differences, strict=True))
        found[f"{name}_difference"] = Value(value, low, high, note)
        known = [ratio for ratio in ratios if ratio is not None]
        missing = [f"no group has a {kind.name} above 0" for kind, of in zip(kinds, ratios, strict=True) if of is None]
        if not known:
            found[f"{name}_ratio"] = undefined("; ".join(missing))
        else:  # of two rates, one that is 0 everywhere divides nobody
            value, low, high = (min(of) for of in zip(*known, strict=True))
            found[f"{name}_ratio"] = Value(value, low, high, "; ".join(filter(None, (note, *missing))))
    return found


def rates(groups: Mapping[str, Counts], kind: Kind, min_count: int) -> list[Rate]:
    """Return the rates of the groups that have enough events."""
    each = [Rate(name, kind.part(counts), kind.whole(counts)) for name, counts in groups.items()]
    return [rate for rate in each if rate.whole >= min_count]


def of_rates(metric: str, named: Sequence[tuple[str, float]]) -> float | None:
    """Return a metric from the rates of groups, each under the name of its kind and its group; None without rates."""
    kinds: dict[str, list[float]] = {}
    for name, rate in named:
        kinds.setdefault(name.partition(" ")[0], []).append(rate)
    if metric.endswith("_difference"):
        return max((max(of) - min(of) for of in kinds.values()), default=None)
    return min((min(of) / max(of) for of in kinds.values() if max(of)), default=None)


def _left_out(
    groups: Mapping[str, Counts], kinds: Sequence[Kind], compared: Sequence[Sequence[Rate]], min_count: int
) -> str:
    notes = []
    for kind, of in zip(kinds, compared, strict=True):
        kept = {rate.group for rate in of}
        without = [name for name in groups if name not in kept]
        if without:
            notes.append(f"without {', '.join(without)}: fewer than {min_count} {kind.of}")
    return "; ".join(notes)


def _difference(of: Sequence[_Limits]) -> tuple[float, float, float]:
    """Return the largest difference of two rates, and the ends of its interval."""
    value = max(one.rate for one in of) - min(one.rate for one in of)
    lows, highs = [], []
    for one, other in permutations(of, 2):
        gap = one.rate - other.rate
        lows.append(gap - math.hypot(one.rate - one.low, other.high - other.rate))
        highs.append(gap + math.hypot(one.high - one.rate, other.rate - other.low))
    return value, max(*lows, 0.0), min(max(highs), 1.0)


def _ratio(of: Sequence[_Limits]) -> tuple[float, float, float] | None:
    """Return the smallest ratio of two rates, and the ends of its interval; None where all rates are 0."""
    most = max(one.rate for one in of)
    if most == 0.0:
        return None
    value = min(one.rate for one in of) / most
    ends = [_mover(one, other) for one, other in permutations(of, 2)]
    low, high = min(low for low, _ in ends), min(high for _, high in ends)
    return value, max(low, 0.0), min(high, 1.0)


def _mover(one: _Limits, other: _Limits) -> tuple[float, float]:
    """Return the interval of the ratio of two rates."""
    product = one.rate * other.rate

    def end(of_one: float, of_other: float, side: int) -> float:
        curve = of_other * (2 * other.rate - of_other)
        root = math.sqrt(max(product**2 - of_one * (2 * one.rate - of_one) * curve, 0.0))
        if curve == 0.0:
            return of_one * (2 * one.rate - of_one) / (2 * product) if product and side < 0 else math.inf
        return (product + side * root) / curve

    low = end(one.low, other.high, -1) if one.low > 0.0 else 0.0
    high = end(one.high, other.low, 1) if other.low > 0.0 else math.inf
    return low, high
