"""Whether paired differences of losses have a mean above a margin, by bets that may be looked at all the time.

A bettor starts with 1 and stakes, on each pair, a share of it on the challenger. If the mean of the differences is not
above the margin, no way of betting is expected to win: the capital is an e-value, and the chance that it ever reaches
1/a is at most a (Ville). The stakes are a fixed mixture, so the capital depends on nothing but how many pairs have
which difference, and a stranger computes it again from those counts.

With losses 0 and 1 and no margin only discordant pairs move the capital: McNemar's test, with a mixture over the
odds in place of a p-value. The interval holds the means against which the capital never reached its limit.

Source: Waudby-Smith and Ramdas, 2024, Estimating means of bounded random variables by betting, J. R. Stat. Soc. B 86,
section 4 and theorem 3 (capital process), with a discrete mixture of constant bets in place of predictable ones.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from services.detector.structs import FloatArray, IntArray

STEPS = 100  # of a loss from 0 to 1; differences are whole steps
SIZES = 2 * STEPS + 1  # differences from -STEPS to STEPS
MOST = 1e300  # of an e-value that is shown
MOST_LABELS = 1_000_000_000  # that are foretold
# Shares of the capital staked, from bold to cautious. Those in front have more of it: a challenger that is much better
# is known after few pairs, and it costs little where the gap is small.
STAKES = tuple(2.0 ** -(0.5 + place / 2) for place in range(18))
_WEIGHTS = tuple(1.0 / (4 + place) for place in range(18))
LOG_WEIGHTS = tuple(math.log(weight / math.fsum(_WEIGHTS)) for weight in _WEIGHTS)
_HALVINGS = 44


def needed(alpha: float, challengers: int) -> float:
    """Return the e-value that decides: two sides of each challenger share `alpha`."""
    return 2 * challengers / alpha


def mean(counts: IntArray) -> float:
    """Return the mean difference; counts: shape (SIZES,), pairs by difference from -1 to 1."""
    pairs = int(counts.sum())
    return int(counts @ np.arange(-STEPS, STEPS + 1)) / (STEPS * pairs) if pairs else 0.0


def log_evidence(counts: IntArray, margin: float) -> float:
    """Return the logarithm of the e-value against a mean difference of at most `margin`, in [0, 1)."""
    return _mixed(_capitals(counts, margin))


def interval(counts: IntArray, limit: float) -> tuple[float, float]:
    """Return the means against which the evidence is below `limit` on either side."""
    return _least(counts, limit), -_least(counts[::-1], limit)


def labels_needed(counts: IntArray, margin: float, limit: float) -> int | None:
    """Return how many further pairs bring the evidence to `limit` if differences go on in the same shares.

    None where the mean is not above the margin, or so little that more than MOST_LABELS would be needed.
    """
    pairs = int(counts.sum())
    if pairs == 0 or mean(counts) <= margin:
        return None
    capitals = _capitals(counts, margin)
    low, high = -1, MOST_LABELS
    if _mixed(capitals * ((pairs + high) / pairs)) < limit:
        return None
    while high - low > 1:  # the evidence is convex in the number of pairs, so it crosses the limit once
        middle = (low + high) // 2
        if _mixed(capitals * ((pairs + middle) / pairs)) >= limit:
            high = middle
        else:
            low = middle
    return high


def e_value(log_value: float) -> float:
    """Return an e-value as it is shown."""
    return math.exp(log_value) if log_value < math.log(MOST) else MOST


def _least(counts: IntArray, limit: float) -> float:
    """Return the largest mean that is refuted from below; -1 where none is."""
    low, high = -1.0, mean(counts)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not -1.0 < middle < high:
            break
        if _mixed(_one_by_one(counts, middle)) >= limit:
            low = middle
        else:
            high = middle
    return low


def _capitals(counts: IntArray, margin: float) -> FloatArray:
    """Return the logarithm of each bettor's capital, added up in the order of the differences."""
    found: FloatArray = (counts[:, None] * _gains(margin)).sum(axis=0)
    return found


def _one_by_one(counts: IntArray, margin: float) -> FloatArray:
    """Return the same for a mean that is asked for once: of the differences that occur."""
    occurring = np.flatnonzero(counts)
    gains = np.array([_gains_of(int(size), margin) for size in occurring]).reshape(-1, len(STAKES))
    found: FloatArray = (counts[occurring, None] * gains).sum(axis=0)
    return found


@lru_cache(maxsize=64)
def _gains(margin: float) -> FloatArray:
    """Return what each difference adds to each bettor's logarithm; shape (SIZES, stakes)."""
    return np.array([_gains_of(size, margin) for size in range(SIZES)])


def _gains_of(size: int, margin: float) -> list[float]:
    excess = ((size - STEPS) / STEPS - margin) / (1.0 + margin)  # at least -1: what is staked is the most to lose
    return [math.log1p(stake * excess) for stake in STAKES]


def _mixed(capitals: FloatArray) -> float:
    terms = [weight + capital for weight, capital in zip(LOG_WEIGHTS, capitals.tolist(), strict=True)]
    most: float = max(terms)
    return most + math.log(math.fsum(math.exp(term - most) for term in terms))
