"""Likelihood-ratio CUSUMs for levels too rare to move a distance between shares: frauds, rare categories, flags.

A fraud rate that goes from .2 % to 2 % is a population stability index of .042: inside every sensible tolerance, and an
incident. So each rare level of a column is a flag with five alternatives, the odds of its reference rate times 1/2.5,
1/1.6, 1.6, 2.5 and 4, and for each of them S = max(0, S + ln(likelihood under the alternative / under the reference)).
A series without change is reported once in exp(threshold) / 5 events or less often (Page 1954; Lorden 1971).

Most events are not the level, and m of them in a row add m times the same to S. So a series is touched when its level
occurs, and its column knows the event at which the next decrease is due: an event costs the same however many levels
of its column are watched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.compiled import dense, kernel
from services.detector.banks.detections import FOUND, Detections, detections
from services.detector.banks.levels import UNWATCHED, Rates, reference_rates
from services.detector.state import Fields, array, fill
from services.detector.statistics.arrays import Counts
from services.detector.structs import FloatArray, IntArray

ODDS = (1 / 2.5, 1 / 1.6, 1.6, 2.5, 4.0)  # of the alternatives over those of the reference
MIN_RATIO = 1.5  # between the rate since the onset and the reference's, or its inverse
MIN_LEVELS = 30  # times the level occurred since the onset; for a decrease, was expected to

_PATIENCE = 10  # times MIN_LEVELS
_NEVER = 1 << 62


class _State(NamedTuple):
    events: IntArray  # [columns] events so far
    next_due: IntArray  # [columns] no `due` of its series is less
    touched: IntArray  # [series] the column's events up to which the series is worked out
    statistic: FloatArray  # [series, alternative] S
    zero: IntArray  # [series, alternative] the column's events when S was last zero
    ones: IntArray  # [series, alternative] times the level occurred since
    due: IntArray  # [series, alternative] the column's events at which a decrease fires unless the level occurs


class _Watch(NamedTuple):
    codes_start: IntArray  # [columns + 1] into `levels`
    levels: IntArray  # [codes of all columns side by side] the series that a code is the level of, or UNWATCHED
    series_start: IntArray  # [columns + 1]
    observed: FloatArray  # [series] rate in the reference
    llr_one: FloatArray  # [series, alternative] log likelihood ratio of the level
    llr_zero: FloatArray  # of another level
    threshold: FloatArray  # [series]


class RareLevelBank:
    """Five CUSUMs per watched level. Series are numbered column by column, in each by the number of the level.

    An alternative is reported as soon as its S has reached the threshold, the level occurred 30 times since S was last
    zero (for fewer: was expected so often), and the ratio of its rate since then to the reference's is 1.5 or more, or
    1/1.5 or less. It starts again when ten times those levels show no such ratio: a small change would else dilute a
    larger one for good. A series starts again after its detection.

    `events` and `mean`, the rate, are those since the S that fired was last zero.

    Args:
        levels: per column the number of each code's watched level, from 0 without gaps, or UNWATCHED.
        rates: of the watched levels, per series.
        threshold: per series; natural logarithm of a likelihood ratio.

    Raises:
        ValueError: the arguments are of different series, or a rate is not strictly between 0 and 1.
    """

    name: ClassVar[str] = "rare_levels"
    version: ClassVar[int] = 1

    def __init__(self, levels: Sequence[IntArray], rates: Rates, threshold: FloatArray) -> None:
        series_start = _starts([int(codes.max(initial=UNWATCHED)) + 1 for codes in levels])
        self.columns, self.series = len(levels), int(series_start[-1])
        if not self.series == len(rates.observed) == len(rates.low) == len(rates.high) == len(threshold):
            raise ValueError("levels, rates and threshold are of different series")
        self._levels = [dense(codes, np.int64).copy() for codes in levels]
        self._rates = Rates(*(dense(rate, np.float64).copy() for rate in (rates.observed, rates.low, rates.high)))
        llr_one, llr_zero = _likelihood_ratios(self._rates)
        numbered = [np.where(c < 0, UNWATCHED, c + first) for c, first in zip(levels, series_start, strict=False)]
        self._watch = _Watch(
            _starts([len(codes) for codes in levels]),
            np.concatenate([np.zeros(0, np.int64), *numbered]),
            series_start,
            self._rates.observed,
            llr_one,
            llr_zero,
            dense(threshold, np.float64).copy(),
        )
        alternatives = (self.series, len(ODDS))
        self._state = _State(
            events=np.zeros(self.columns, np.int64),
            next_due=np.full(self.columns, _NEVER),
            touched=np.zeros(self.series, np.int64),
            statistic=np.zeros(alternatives),
            zero=np.zeros(alternatives, np.int64),
            ones=np.zeros(alternatives, np.int64),
            due=np.full(alternatives, _NEVER),
        )
        _start(self._state, self._watch)

    @classmethod
    def of_references(cls, levels: Sequence[IntArray], references: Sequence[Counts], threshold: FloatArray) -> Self:
        """Return the bank of watched `levels` whose rates are those of `references`.

        references: per column counts per code, or several of them, [laws, codes]; the rates then are those of all, and
        their bounds the lowest and the highest of any.
        """
        found = [
            _rates(codes, np.atleast_2d(np.asarray(r, np.float64))) for codes, r in zip(levels, references, strict=True)
        ]
        joined = (np.concatenate([np.zeros(0), *parts]) for parts in zip(*found, strict=True)) if found else None
        return cls(levels, Rates(*joined) if joined is not None else Rates(*(np.zeros(0),) * 3), threshold)

    def update(self, codes: NDArray[np.int32]) -> Detections:
        """Fold `codes` [rows, columns] in row order.

        A negative code is no event of its column; one that the column does not have, an unseen level, is an event and
        none of its levels.
        """
        codes = dense(codes, np.int32)
        found = np.empty((self.series * (1 + len(codes) // MIN_LEVELS), FOUND))
        count = _update(codes, self._state, self._watch, found)
        return detections(found[:count])

    def snapshot(self) -> Fields:
        """Return everything that decides about the future, constants included."""
        return {
            "codes": np.diff(self._watch.codes_start),
            "levels": np.concatenate([np.zeros(0, np.int64), *self._levels]),
            "observed": self._rates.observed.copy(),
            "low": self._rates.low.copy(),
            "high": self._rates.high.copy(),
            "threshold": self._watch.threshold.copy(),
            **{name: values.copy() for name, values in self._state._asdict().items()},
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        codes = array(fields, "codes", np.int64)
        bank = cls(
            np.split(array(fields, "levels", np.int64), np.cumsum(codes)[:-1]) if len(codes) else [],
            Rates(*(array(fields, name, np.float64) for name in ("observed", "low", "high"))),
            array(fields, "threshold", np.float64),
        )
        fill(bank._state._asdict(), fields)
        return bank


def _rates(codes: IntArray, laws: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return observed, low and high rates of a column's watched levels."""
    watched = codes >= 0
    each = [
        reference_rates(
            np.bincount(codes[watched], law[watched]).astype(np.float64), np.full(codes.max() + 1, law.sum())
        )
        for law in (laws.sum(axis=0), *laws)
    ]
    low, high = np.min([rates.low for rates in each], axis=0), np.max([rates.high for rates in each], axis=0)
    return each[0].observed, low, high


def _starts(widths: Sequence[int]) -> IntArray:
    return np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)


def _likelihood_ratios(rates: Rates) -> tuple[FloatArray, FloatArray]:
    # math.log of each: numpy's vectorised logarithm differs between processors in the last bit.
    one, zero = [], []
    for observed, low, high in zip(rates.observed.tolist(), rates.low.tolist(), rates.high.tolist(), strict=True):
        if not 0.0 < low <= observed <= high < 1.0:
            raise ValueError("a rate is strictly between 0 and 1, within its bounds")
        nulls = [high if odds > 1.0 else low for odds in ODDS]
        growths = [odds / (1.0 - p + odds * p) for odds, p in zip(ODDS, nulls, strict=True)]
        one.append([math.log(growth) for growth in growths])
        zero.append([math.log1p(p * (1.0 - growth) / (1.0 - p)) for growth, p in zip(growths, nulls, strict=True)])
    return np.reshape(one, (-1, len(ODDS))), np.reshape(zero, (-1, len(ODDS)))


@kernel
def _restart(state: _State, s: int, k: int, now: int) -> None:
    state.statistic[s, k] = 0.0
    state.zero[s, k] = now
    state.ones[s, k] = 0


@kernel
def _catch_up(state: _State, watch: _Watch, s: int, now: int) -> None:
    """Add the column's events up to `now` that the series has not seen, none of which was its level."""
    passed = now - state.touched[s]
    for k in range(state.statistic.shape[1]):
        state.statistic[s, k] += passed * watch.llr_zero[s, k]
        if state.statistic[s, k] <= 0.0:
            _restart(state, s, k, now)
    state.touched[s] = now


@kernel
def _evidence(state: _State, watch: _Watch, s: int, k: int, now: int) -> tuple[bool, float]:
    """Return whether the rate since S was last zero is off by the ratio of the gate, and on how many levels."""
    ones, expected = state.ones[s, k], watch.observed[s] * (now - state.zero[s, k])
    if watch.llr_one[s, k] > 0.0:
        return ones >= MIN_RATIO * expected, float(ones)
    return MIN_RATIO * ones <= expected, expected


@kernel
def _stronger(state: _State, s: int, k: int, other: int) -> int:
    """Return which of two alternatives has the larger S; the other may be none, -1."""
    return k if other < 0 or state.statistic[s, k] > state.statistic[s, other] else other


@kernel
def _meet(state: _State, watch: _Watch, s: int, now: int) -> int:
    """Add the column's event `now`, which was the level; return the increase to report, or -1."""
    _catch_up(state, watch, s, now - 1)
    state.touched[s] = now
    fired = -1
    for k in range(state.statistic.shape[1]):
        state.statistic[s, k] += watch.llr_one[s, k]
        state.ones[s, k] += 1
        if state.statistic[s, k] <= 0.0:
            _restart(state, s, k, now)
        if state.statistic[s, k] < watch.threshold[s]:
            continue
        off, levels = _evidence(state, watch, s, k, now)
        if not off and levels >= _PATIENCE * MIN_LEVELS:
            _restart(state, s, k, now)
        if off and levels >= MIN_LEVELS and watch.llr_one[s, k] > 0.0:
            fired = _stronger(state, s, k, fired)
    return fired


@kernel
def _schedule(state: _State, watch: _Watch, column: int, s: int) -> None:
    """Work out when each decrease will have reached its threshold and its gate, if the level stays away."""
    most = float(_NEVER // 2)
    for k in range(state.statistic.shape[1]):
        if watch.llr_zero[s, k] > 0.0:
            needed = max((watch.threshold[s] - state.statistic[s, k]) / watch.llr_zero[s, k], 0.0)
            expected = max(float(MIN_LEVELS), MIN_RATIO * state.ones[s, k])
            gate = state.zero[s, k] + math.ceil(min(expected / watch.observed[s], most))
            state.due[s, k] = max(state.touched[s] + math.ceil(min(needed, most)), gate)
            state.next_due[column] = min(state.next_due[column], state.due[s, k])


@kernel
def _overdue(state: _State, watch: _Watch, s: int, now: int) -> int:
    """Return the decrease to report at the column's event `now`, or -1."""
    fired = -1
    if state.due[s].min() <= now:
        _catch_up(state, watch, s, now)
        for k in range(state.due.shape[1]):
            if state.due[s, k] <= now:
                fired = _stronger(state, s, k, fired)
    return fired


@kernel
def _report(state: _State, watch: _Watch, s: int, k: int, now: int, entry: FloatArray) -> None:
    """Fill a detection in, and start the series again."""
    entry[1] = s
    entry[2] = now - state.zero[s, k]
    entry[3] = state.ones[s, k] / (now - state.zero[s, k])
    entry[4] = state.statistic[s, k]
    entry[5] = 1 if watch.llr_one[s, k] > 0.0 else -1
    for other in range(state.statistic.shape[1]):
        _restart(state, s, other, now)


@kernel
def _start(state: _State, watch: _Watch) -> None:
    for column in range(state.events.shape[0]):
        for s in range(watch.series_start[column], watch.series_start[column + 1]):
            _schedule(state, watch, column, s)


@kernel
def _update(codes: NDArray[np.int32], state: _State, watch: _Watch, found: FloatArray) -> int:
    count = 0
    for column in range(codes.shape[1]):
        first, last = watch.series_start[column], watch.series_start[column + 1]
        levels = watch.levels[watch.codes_start[column] : watch.codes_start[column + 1]]
        for row in range(codes.shape[0]):
            code = codes[row, column]
            if code < 0:
                continue
            state.events[column] += 1
            now = state.events[column]
            if code < levels.shape[0] and levels[code] >= 0:
                s = levels[code]
                k = _meet(state, watch, s, now)
                if k >= 0:
                    found[count, 0] = row
                    _report(state, watch, s, k, now, found[count])
                    count += 1
                _schedule(state, watch, column, s)
            if now < state.next_due[column]:
                continue
            # Levels that occurred since have put off what was due: the least is worked out anew only here.
            state.next_due[column] = _NEVER
            for s in range(first, last):
                k = _overdue(state, watch, s, now)
                if k >= 0:
                    found[count, 0] = row
                    _report(state, watch, s, k, now, found[count])
                    count += 1
                _schedule(state, watch, column, s)
    return count
