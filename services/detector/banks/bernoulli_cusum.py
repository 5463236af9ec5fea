"""One-sided likelihood-ratio CUSUMs for flags: errors that became more frequent, or went back to what they were.

For each alternative rate p1 of a series, S = max(0, S + ln(likelihood under p1 / likelihood under p0)); the series is
reported when the largest S reaches its threshold. A series without change is reported once in exp(threshold) / k flags
or less often, for k alternatives (Page 1954; Lorden, Procedures for reacting to a change in distribution, 1971).

A flag may lie between 0 and 1, as a bounded loss does: it adds as much of both ratios as it is of a set flag and of a
clear one. The exponential function is convex, so that what it stands for has an expectation of at most 1 under the null
as well (Hoeffding, Probability inequalities for sums of bounded random variables, 1963), and the bound above holds.

The null may differ from row to row: `strata` of the null (the age of a label, the hour) share one S.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.compiled import dense, kernel
from services.detector.banks.detections import FOUND, Detections, detections
from services.detector.banks.values import by_series
from services.detector.state import Fields, array, fill
from services.detector.structs import FloatArray, IntArray

INCREASES = (1.25, 1.6, 2.5)  # odds ratios of the alternatives: small, middle, large


class _State(NamedTuple):
    statistic: FloatArray  # [series, alternative] S
    events: IntArray  # flags since S was last zero
    ones: FloatArray  # sum of these flags


class BernoulliCusumBank:
    """One mixed CUSUM per series of flags.

    Args:
        llr_one: log likelihood ratio of a set flag, [series, alternative] or [stratum, series, alternative].
        llr_zero: the same of a clear flag.
        threshold: per series; natural logarithm of a likelihood ratio.
        least: per series, flags since S was last zero before it is reported; None: one.
    """

    name: ClassVar[str] = "bernoulli_cusum"
    version: ClassVar[int] = 2

    def __init__(
        self, llr_one: FloatArray, llr_zero: FloatArray, threshold: FloatArray, least: IntArray | None = None
    ) -> None:
        self._llr_one = dense(_stratified(llr_one), np.float64).copy()
        self._llr_zero = dense(_stratified(llr_zero), np.float64).copy()
        self._threshold = dense(threshold, np.float64).copy()
        self.strata, self.series, alternatives = self._llr_one.shape
        if self._llr_zero.shape != self._llr_one.shape or self._threshold.shape != (self.series,):
            raise ValueError("llr_one, llr_zero and threshold are of different series")
        self._least = np.ones(self.series, np.int64) if least is None else dense(least, np.int64).copy()
        self._state = _State(
            statistic=np.zeros((self.series, alternatives)),
            events=np.zeros((self.series, alternatives), np.int64),
            ones=np.zeros((self.series, alternatives)),
        )

    @classmethod
    def for_increase(cls, p0: FloatArray, threshold: FloatArray, odds: Sequence[float] = INCREASES) -> Self:
        """Return the bank that finds rates whose odds grew `odds` times over those of `p0`, [(stratum,) series].

        Raises:
            ValueError: a rate is not strictly between 0 and 1.
        """
        rates = [[ratio * p / (1.0 - p + ratio * p) for ratio in odds] for p in _rates(p0)]
        return cls(*_ratios(p0, rates), threshold)

    @classmethod
    def for_rates(cls, p0: FloatArray, rates: FloatArray, threshold: FloatArray, least: IntArray) -> Self:
        """Return the bank that finds rates [series, alternative] that are no longer `p0`, after `least` flags.

        Raises:
            ValueError: a rate is not strictly between 0 and 1.
        """
        return cls(*_ratios(p0, [_rates(row) for row in rates]), threshold, least)

    @classmethod
    def for_recovery(cls, p_now: FloatArray, p0: FloatArray, threshold: FloatArray) -> Self:
        """Return the bank that finds series that left the rate `p_now` of an incident and are back at `p0`.

        Raises:
            ValueError: a rate is not strictly between 0 and 1.
        """
        return cls(*_ratios(p_now, [[p] for p in _rates(p0)]), threshold)

    @property
    def is_idle(self) -> NDArray[np.bool_]:
        """Return which series have every S at zero: a clear flag changes nothing of them."""
        is_idle: NDArray[np.bool_] = (self._state.statistic == 0.0).all(axis=1)
        return is_idle

    def update(self, flags: FloatArray, strata: IntArray | None = None) -> Detections:
        """Fold `flags` [rows, series] from 0 to 1 in row order; one that is not finite is no event of its series.

        `strata` [rows] says which null a row belongs to; without it all belong to the first. A series starts again
        after its detection; `events` and `mean` are those since the S that fired was last zero.

        Raises:
            ValueError: a stratum is not one of the bank's.
        """
        flags = by_series(flags)
        row_strata = np.zeros(flags.shape[1], np.int64) if strata is None else dense(strata, np.int64)
        if len(row_strata) and not 0 <= row_strata.min() <= row_strata.max() < self.strata:
            raise ValueError(f"strata are 0 to {self.strata - 1}")
        return self._fold(flags, np.arange(self.series), row_strata)

    def update_some(self, flags: FloatArray, series: IntArray) -> Detections:
        """Fold flags [series, rows] of some series, as `update` does: rows behind one another."""
        return self._fold(dense(flags, np.float64), dense(series, np.int64), np.zeros(flags.shape[1], np.int64))

    def _fold(self, flags: FloatArray, series: IntArray, strata: IntArray) -> Detections:
        found = np.empty((flags.size, FOUND))
        constants = self._llr_one, self._llr_zero, self._threshold, self._least
        count = _update(flags, series, strata, self._state, *constants, found)
        return detections(found[:count])

    def take_back(self, series: int, later: int, stratum: int, flag: float, instead: float) -> None:
        """Take a flag back, since which `later` others came: it was `instead`, which is less, or NaN for none.

        Where S has been zero since, nothing is left of the flag. What was clear and is not stays as it was: which rows
        are looked at again is no random choice, so that flags which only that brought are no evidence.
        """
        state = self._state
        for k in range(state.statistic.shape[1]):
            if later >= state.events[series, k]:
                continue
            one, zero = self._llr_one[stratum, series, k], self._llr_zero[stratum, series, k]
            is_none = math.isnan(instead)
            state.statistic[series, k] -= _ratio(flag, one, zero) - (0.0 if is_none else _ratio(instead, one, zero))
            state.ones[series, k] -= flag - (0.0 if is_none else instead)
            state.events[series, k] -= is_none
            if state.statistic[series, k] <= 0.0:
                _forget(state, series, k)

    def snapshot(self) -> Fields:
        """Return everything that decides about the future, constants included."""
        return {
            "llr_one": self._llr_one.copy(),
            "llr_zero": self._llr_zero.copy(),
            "threshold": self._threshold.copy(),
            "least": self._least.copy(),
            **{name: values.copy() for name, values in self._state._asdict().items()},
            "ones": _smallest(self._state.ones),
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        llr_one, llr_zero, threshold = (
            array(fields, name, np.float64) for name in ("llr_one", "llr_zero", "threshold")
        )
        bank = cls(llr_one, llr_zero, threshold, array(fields, "least", np.int64))
        ones = fields.get("ones")
        if isinstance(ones, np.ndarray) and ones.dtype == np.int64:
            fields = {**fields, "ones": ones.astype(np.float64)}
        fill(bank._state._asdict(), fields)
        return bank


def _smallest(sums: FloatArray) -> FloatArray | IntArray:
    """Return sums as a state keeps them: those of flags are whole, and take a byte or two instead of eight."""
    whole = sums.astype(np.int64)
    return whole if (whole == sums).all() else sums.copy()


def _stratified(llr: FloatArray) -> FloatArray:
    return llr if llr.ndim == 3 else llr[np.newaxis]


def _rates(p: FloatArray) -> list[float]:
    rates: list[float] = p.ravel().tolist()
    if not all(0.0 < rate < 1.0 for rate in rates):
        raise ValueError("a rate is strictly between 0 and 1")
    return rates


def _ratios(p0: FloatArray, p1: list[list[float]]) -> tuple[FloatArray, FloatArray]:
    # math.log of each: numpy's vectorised logarithm differs between processors in the last bit.
    pairs = [[(a, b) for b in row] for a, row in zip(_rates(p0), p1, strict=True)]
    one = np.array([[math.log(b / a) for a, b in row] for row in pairs])
    zero = np.array([[math.log((1.0 - b) / (1.0 - a)) for a, b in row] for row in pairs])
    shape = (*p0.shape, -1)
    return one.reshape(shape), zero.reshape(shape)


@kernel
def _forget(state: _State, s: int, k: int) -> None:
    state.statistic[s, k] = 0.0
    state.events[s, k] = 0
    state.ones[s, k] = 0.0


@kernel
def _ratio(flag: float, one: float, zero: float) -> float:
    """Return what a flag adds to S; of 0 and 1 exactly the ratio of a clear and of a set one."""
    if flag == 0.0:
        return zero
    return one if flag == 1.0 else flag * one + (1.0 - flag) * zero


@kernel
def _follow(state: _State, s: int, flag: float, one: NDArray[np.float64], zero: NDArray[np.float64]) -> int:
    """Add one flag to every S of the series; return the alternative with the largest."""
    largest = 0
    for k in range(one.shape[0]):
        statistic = state.statistic[s, k] + _ratio(flag, one[k], zero[k])
        if statistic > 0.0:
            state.statistic[s, k] = statistic
            state.events[s, k] += 1
            state.ones[s, k] += flag
        else:
            _forget(state, s, k)
        if state.statistic[s, k] > state.statistic[s, largest]:
            largest = k
    return largest


@kernel
def _update(
    flags: FloatArray,
    series: IntArray,
    strata: IntArray,
    state: _State,
    llr_one: FloatArray,
    llr_zero: FloatArray,
    threshold: FloatArray,
    least: IntArray,
    found: FloatArray,
) -> int:
    count = 0
    for i in range(flags.shape[0]):
        s = series[i]
        for row in range(flags.shape[1]):
            value = flags[i, row]
            if not math.isfinite(value):
                continue
            k = _follow(state, s, value, llr_one[strata[row], s], llr_zero[strata[row], s])
            if state.events[s, k] >= least[s] and state.statistic[s, k] >= threshold[s]:
                found[count, 0] = row
                found[count, 1] = s
                found[count, 2] = state.events[s, k]
                found[count, 3] = state.ones[s, k] / state.events[s, k]
                found[count, 4] = state.statistic[s, k]
                found[count, 5] = 1 if llr_one[strata[row], s, k] > 0.0 else -1
                count += 1
                for each in range(llr_one.shape[2]):
                    _forget(state, s, each)
    return count
