"""A Shiryaev-Roberts e-detector on the bins of many series, with the tolerated drift inside its null.

Shin, Ramdas and Rinaldo, E-detectors, arXiv 2203.03532: M = (M + 1) L, where L is 1 at most in the mean without a
change, exceeds A once in A events or less often. Here

    L = ((1 - w) + w h[k] / p[k]) / (1 + w sqrt(tolerance X)),    X = sum((h - p)² / p)

for the bin k of an event, the reference's shares p, and h, an exponentially weighted share of the events before it. By
Cauchy-Schwarz the divisor makes L an e-value under every law q with sum((q - p)² / p) <= tolerance, so the bound holds
for the reference's own error too. Three half-lives and two weights w are averaged: large changes in a hundred events,
small ones in thousands.

An event costs the same for any number of bins. h / p is kept divided by its own decay, so that only the bin that
occurred moves, and X follows from X alone, because h and p both sum to 1:

    h' = (1-a) h + a e_k    =>    X' = (1-a)² X + 2 a (1-a) (h[k]/p[k] - 1) + a² (1/p[k] - 1)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.compiled import dense, kernel
from services.detector.banks.detections import FOUND, Detections, detections
from services.detector.state import Fields, array, fill, integer
from services.detector.statistics.arrays import Counts
from services.detector.statistics.verdict import TOLERATED_PSI, pool
from services.detector.structs import FloatArray, IntArray

HALF_LIVES = (100, 400, 2_000)  # events
WEIGHTS = (0.3, 0.9)

_DECAY = np.array([0.5 ** (1.0 / half_life) for half_life in HALF_LIVES])
_POOLED_ROWS = 1_000  # a bin is expected to hold ten events of so many
_RESCALED = 1_024  # events after which the decay is multiplied into h / p
_PATIENCE = 10  # times `min_events`
_MOST = 1e300  # of M, which is no further evidence; M may reach it only while an alarm waits for its events


class _State(NamedTuple):
    ratio: FloatArray  # [bins of all series side by side, half-life] h / (p scale)
    scale: FloatArray  # [series, half-life] the decay since `ratio` was last rescaled
    distance: FloatArray  # [series, half-life] X
    mixture: FloatArray  # [series, half-life, weight] M
    product: FloatArray  # [series, half-life, weight] of L since it was last lowest, 1 there
    lowest: IntArray  # [series, half-life, weight] `events` at that, which is where the change would have begun
    events: IntArray  # [series] since the restart
    law: IntArray  # [series] the law that holds


class _Law(NamedTuple):
    codes_start: IntArray  # [series + 1] into `groups`
    groups: IntArray  # [codes of all series side by side] the bin of each code, numbered within its series
    bins_start: IntArray  # [series + 1] into the ratios
    laws_start: IntArray  # [series + 1] into `shares`
    shares: FloatArray  # [bins of every law, laws of all series side by side] p
    tolerance: FloatArray  # [series]


class EDetectorBank:
    """One e-detector per series of codes. A series of one bin has no test.

    The mean of M over half-lives and weights is compared with exp(threshold). It is reported when the events since the
    onset, the moment from which the evidence of the leading M has mounted, are `min_events` and the distance from the
    reference is `min_effect`; a mean that falls back before that was nothing. A series starts again after its
    detection, and also when ten times `min_events` show no such distance.

    `statistic` is the logarithm of the mean of M; `mean` is how much of all events the most changed bin gained since
    the onset, estimated from the h of the leading M, and `direction` its sign.

    Args:
        groups: per series the bin of each of its codes, numbered from 0 without gaps.
        shares: per series the reference's share of each bin; positive, together 1. Or several laws, [laws, bins], of
            which each event names the one that holds: what is learned then is by how much the shares are off.
        tolerance: per series, the sum((q - p)² / p) that is no drift.
        threshold: per series, the logarithm of the mean number of events without a false detection.
        min_events: of a series since the onset, before it is reported.
        min_effect: per series, of sum((q - p)² / p), which is about a population stability index; q is estimated from
            the h of the shortest half-life, less what chance adds to it. None: 0.

    Raises:
        ValueError: the arguments are of different series, or shares are no law.
    """

    name: ClassVar[str] = "e_detector"
    version: ClassVar[int] = 2

    def __init__(
        self,
        groups: Sequence[IntArray],
        shares: Sequence[FloatArray],
        tolerance: FloatArray,
        threshold: FloatArray,
        min_events: int,
        min_effect: FloatArray | None = None,
    ) -> None:
        self.series = len(groups)
        if not len(groups) == len(shares) == len(tolerance) == len(threshold):
            raise ValueError("groups, shares, tolerance and threshold are of different series")
        laws = [np.atleast_2d(law) for law in shares]
        for bins, law in zip(groups, laws, strict=True):
            if not np.array_equal(np.unique(bins), np.arange(law.shape[1])):
                raise ValueError("every bin has a code, and every code a bin")
            if not (np.all(law > 0.0) and np.allclose(law.sum(axis=1), 1.0, rtol=1e-9)):
                raise ValueError("shares are positive and sum to 1")
        self._law = _Law(
            _starts([len(bins) for bins in groups]),
            np.concatenate([np.zeros(0, np.int64), *groups]).astype(np.int64),
            _starts([law.shape[1] for law in laws]),
            _starts([law.size for law in laws]),
            np.concatenate([np.zeros(0), *(law.ravel() for law in laws)]),
            dense(tolerance, np.float64).copy(),
        )
        self._threshold = dense(threshold, np.float64).copy()
        self._level = np.array([_level(threshold) for threshold in self._threshold.tolist()])
        self._min_events = min_events
        self._min_effect = np.zeros(self.series) if min_effect is None else dense(min_effect, np.float64).copy()
        components = (self.series, len(HALF_LIVES), len(WEIGHTS))
        self._state = _State(
            ratio=np.ones((int(self._law.bins_start[-1]), len(HALF_LIVES))),
            scale=np.ones((self.series, len(HALF_LIVES))),
            distance=np.zeros((self.series, len(HALF_LIVES))),
            mixture=np.zeros(components),
            product=np.ones(components),
            lowest=np.zeros(components, np.int64),
            events=np.zeros(self.series, np.int64),
            law=np.zeros(self.series, np.int64),
        )

    @classmethod
    def of_references(
        cls,
        references: Sequence[Counts],
        ordered: Sequence[bool],
        threshold: FloatArray,
        min_events: int,
        min_effect: FloatArray | None = None,
    ) -> Self:
        """Return the bank that watches for laws other than those of `references`, counts per code or [laws, codes].

        Codes pool into bins of a hundredth and more of the reference, neighbours where they are `ordered`. The
        tolerance is that of the windows' verdict: .01, or twice what the reference's sampling error explains.

        Raises:
            ValueError: a reference is empty.
        """
        known = [np.atleast_2d(np.asarray(reference, np.float64)) for reference in references]
        if not all(np.sum(reference) > 0 for reference in known):
            raise ValueError("a reference without events")
        groups = [pool(law.sum(axis=0), _POOLED_ROWS, ordered=axis) for law, axis in zip(known, ordered, strict=True)]
        pooled = [
            np.array([np.bincount(bins, weights=law) + 0.5 for law in laws])
            for bins, laws in zip(groups, known, strict=True)
        ]
        rows = [max(float(law.sum(axis=1).min()), 1.0) for law in known]
        tolerance = [max(TOLERATED_PSI, 2 * (counts.shape[1] - 1) / n) for counts, n in zip(pooled, rows, strict=True)]
        laws = [counts / counts.sum(axis=1, keepdims=True) for counts in pooled]
        return cls(groups, laws, np.array(tolerance), threshold, min_events, min_effect)

    def update(self, codes: NDArray[np.int32], laws: IntArray | None = None) -> Detections:
        """Fold `codes` [rows, series] in row order; a negative one, or one that is not the series', is no event.

        laws: [rows] which one holds, of series that have several.
        """
        codes = dense(codes, np.int32)
        which = np.zeros(len(codes), np.int64) if laws is None else dense(laws, np.int64)
        min_events = max(self._min_events, 1)
        found = np.empty((self.series * (1 + len(codes) // min_events), FOUND))
        count = _update(codes, which, self._state, self._law, _DECAY, self._level, min_events, self._min_effect, found)
        return detections(found[:count])

    def snapshot(self) -> Fields:
        """Return everything that decides about the future, constants included."""
        return {
            "codes": np.diff(self._law.codes_start),
            "groups": self._law.groups.copy(),
            "bins": np.diff(self._law.bins_start),
            "shares_of": np.diff(self._law.laws_start),
            "shares": self._law.shares.copy(),
            "tolerance": self._law.tolerance.copy(),
            "threshold": self._threshold.copy(),
            "min_events": self._min_events,
            "min_effect": self._min_effect.copy(),
            **{name: values.copy() for name, values in self._state._asdict().items()},
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        codes, bins, sizes = (array(fields, name, np.int64) for name in ("codes", "bins", "shares_of"))
        shares = np.split(array(fields, "shares", np.float64), np.cumsum(sizes)[:-1]) if len(bins) else []
        bank = cls(
            np.split(array(fields, "groups", np.int64), np.cumsum(codes)[:-1]) if len(codes) else [],
            [law.reshape(-1, width) for law, width in zip(shares, bins.tolist(), strict=True)],
            array(fields, "tolerance", np.float64),
            array(fields, "threshold", np.float64),
            integer(fields, "min_events"),
            array(fields, "min_effect", np.float64),
        )
        fill(bank._state._asdict(), fields)
        return bank


def _level(threshold: float) -> float:
    return math.exp(threshold) if threshold < math.log(_MOST) else math.inf


def _starts(widths: Sequence[int]) -> IntArray:
    return np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)


@kernel
def _part(state: _State, s: int, first: int, last: int) -> _State:
    """Return the part of the state that is the series', as views without its axis."""
    return _State(
        state.ratio[first:last],
        state.scale[s],
        state.distance[s],
        state.mixture[s],
        state.product[s],
        state.lowest[s],
        state.events[s : s + 1],
        state.law[s : s + 1],
    )


@kernel
def _restart(part: _State) -> None:
    part.ratio[:] = 1.0
    part.scale[:] = 1.0
    part.distance[:] = 0.0
    part.mixture[:] = 0.0
    part.product[:] = 1.0
    part.lowest[:] = 0
    part.events[:] = 0


@kernel
def _weigh(part: _State, g: int, ratio: float, slack: float) -> float:
    """Fold one event into both M of a half-life; return their sum. Products only, so that no logarithm is taken."""
    total = 0.0
    for j in range(len(WEIGHTS)):
        likelihood = ((1.0 - WEIGHTS[j]) + WEIGHTS[j] * ratio) / (1.0 + WEIGHTS[j] * slack)
        mixture = min((part.mixture[g, j] + 1.0) * likelihood, _MOST)
        part.mixture[g, j] = mixture
        total += mixture
        product = min(part.product[g, j] * likelihood, _MOST)
        if product <= 1.0:
            product = 1.0
            part.lowest[g, j] = part.events[0]
        part.product[g, j] = product
    return total


@kernel
def _learn(part: _State, g: int, place: int, ratio: float, inverse: float, kept: float) -> None:
    """Move h and X by one event in the bin at `place`, which has the share 1 / `inverse`."""
    learnt = 1.0 - kept
    moved = kept * kept * part.distance[g] + 2.0 * learnt * kept * (ratio - 1.0)
    part.distance[g] = max(moved + learnt * learnt * (inverse - 1.0), 0.0)
    scale = part.scale[g] * kept
    part.scale[g] = scale
    part.ratio[place, g] += learnt * inverse / scale


@kernel
def _rescale(part: _State) -> None:
    for place in range(part.ratio.shape[0]):
        for g in range(part.ratio.shape[1]):
            part.ratio[place, g] *= part.scale[g]
    part.scale[:] = 1.0


@kernel
def _change_law(part: _State, shares: FloatArray) -> None:
    """Go on under other shares p: h / p stays as it is, so far as h must sum to 1."""
    for g in range(part.ratio.shape[1]):
        total, squares = 0.0, 0.0
        for place in range(shares.shape[0]):
            total += shares[place] * part.ratio[place, g] * part.scale[g]
        for place in range(shares.shape[0]):
            ratio = part.ratio[place, g] * part.scale[g] / total
            part.ratio[place, g] = ratio
            squares += shares[place] * ratio * ratio
        part.distance[g] = max(squares - 1.0, 0.0)
    part.scale[:] = 1.0


@kernel
def _leading(part: _State) -> tuple[int, int]:
    """Return half-life and weight of the largest M."""
    g, j = 0, 0
    for other in range(part.mixture.shape[0]):
        for weight in range(part.mixture.shape[1]):
            if part.mixture[other, weight] > part.mixture[g, j]:
                g, j = other, weight
    return g, j


@kernel
def _effect(part: _State, kept: float, events: int) -> float:
    """Return the distance as the fastest h has learnt it, less the mean of what the chance of its events adds."""
    learnt = 1.0 - math.exp(events * math.log(kept))
    chance = (part.ratio.shape[0] - 1) * (1.0 - kept) / (1.0 + kept)
    effect: float = (part.distance[0] - chance) / (learnt * learnt)
    return effect


@kernel
def _gain(part: _State, g: int, shares: FloatArray, learnt: float) -> float:
    """Return what the bin that contributes most to X gained, of which h has `learnt` a part."""
    gain, most = 0.0, -1.0
    for place in range(shares.shape[0]):
        share = shares[place]
        excess = part.ratio[place, g] * part.scale[g] - 1.0
        if share * excess * excess > most:
            most = share * excess * excess
            gain = min(max(share * excess / learnt, -share), 1.0 - share)
    return gain


@kernel
def _update(
    codes: NDArray[np.int32],
    laws: IntArray,
    state: _State,
    law: _Law,
    decay: FloatArray,
    level: FloatArray,
    min_events: int,
    min_effect: FloatArray,
    found: FloatArray,
) -> int:
    count = 0
    for s in range(codes.shape[1]):
        first, last = law.bins_start[s], law.bins_start[s + 1]
        if last - first < 2:
            continue
        groups = law.groups[law.codes_start[s] : law.codes_start[s + 1]]
        part = _part(state, s, first, last)
        begin, bins = law.laws_start[s], last - first
        is_changing = law.laws_start[s + 1] - begin > bins
        shares = law.shares[begin + part.law[0] * bins : begin + (part.law[0] + 1) * bins]
        for row in range(codes.shape[0]):
            code = codes[row, s]
            if code < 0 or code >= groups.shape[0]:
                continue
            if is_changing and laws[row] != part.law[0]:
                part.law[0] = laws[row]
                shares = law.shares[begin + part.law[0] * bins : begin + (part.law[0] + 1) * bins]
                _change_law(part, shares)
            place = groups[code]
            inverse = 1.0 / shares[place]
            part.events[0] += 1
            total = 0.0
            for g in range(decay.shape[0]):
                ratio = part.ratio[place, g] * part.scale[g]
                total += _weigh(part, g, ratio, math.sqrt(law.tolerance[s] * part.distance[g]))
                _learn(part, g, place, ratio, inverse, decay[g])
            mean = total / part.mixture.size
            if part.events[0] % _RESCALED == 0:
                _rescale(part)
            if mean < level[s]:
                continue
            g, j = _leading(part)
            events = part.events[0] - part.lowest[g, j]
            if events < min_events:
                continue
            if _effect(part, decay[0], events) < min_effect[s]:
                if events >= _PATIENCE * min_events:
                    _restart(part)
                continue
            gain = _gain(part, g, shares, 1.0 - math.exp(events * math.log(decay[g])))
            found[count, 0] = row
            found[count, 1] = s
            found[count, 2] = events
            found[count, 3] = gain
            found[count, 4] = math.log(mean)
            found[count, 5] = 1 if gain > 0.0 else -1
            count += 1
            _restart(part)
    return count
