"""The windows of ADWIN as struct of arrays, and the loops over them; `adwin.py` is where the bank is.

Order of buckets and of the arithmetic is river's, so that both round alike.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.compiled import kernel
from services.detector.structs import FloatArray, IntArray

_SURELY = 0.5  # of the square of a bound: less by more than rounding
_LEVELS = 48  # level i holds buckets of 2^i events; more events than the levels hold are out of reach


class AdwinState(NamedTuple):
    """The windows; levels and buckets beyond `levels` and `filled` hold nothing."""

    total: FloatArray  # sum of the window's values
    squares: FloatArray  # sum of squared deviations from their mean
    width: FloatArray  # events in the window
    ticks: IntArray  # events since the last reset
    cut: NDArray[np.bool_]  # the last event was a detection: start again at the next
    levels: IntArray
    filled: IntArray  # [series, level] buckets, oldest first
    totals: FloatArray  # [series, level, bucket]
    deviations: FloatArray
    waiting: IntArray  # events since the onset of a detection that waits for the gate; 0: none does
    waiting_total: FloatArray
    waiting_statistic: FloatArray
    waiting_direction: IntArray


def empty(series: int, max_buckets: int) -> AdwinState:
    """Return windows without events."""
    return AdwinState(
        total=np.zeros(series),
        squares=np.zeros(series),
        width=np.zeros(series),
        ticks=np.zeros(series, np.int64),
        cut=np.zeros(series, np.bool_),
        levels=np.ones(series, np.int64),
        filled=np.zeros((series, _LEVELS), np.int64),
        totals=np.zeros((series, _LEVELS, max_buckets + 1)),
        deviations=np.zeros((series, _LEVELS, max_buckets + 1)),
        waiting=np.zeros(series, np.int64),
        waiting_total=np.zeros(series),
        waiting_statistic=np.zeros(series),
        waiting_direction=np.zeros(series, np.int64),
    )


def used(state: AdwinState) -> NDArray[np.bool_]:
    """Return which buckets hold events, [series, level, bucket]."""
    return np.arange(state.totals.shape[2]) < state.filled[:, :, np.newaxis]


@kernel
def _insert(state: AdwinState, s: int, value: float) -> None:
    last = state.filled[s, 0]
    state.totals[s, 0, last] = value
    state.deviations[s, 0, last] = 0.0
    state.filled[s, 0] = last + 1
    state.width[s] += 1.0
    width = state.width[s]
    if width > 1.0:
        difference = value - state.total[s] / (width - 1.0)
        state.squares[s] += (width - 1.0) * difference * difference / width
    state.total[s] += value


@kernel
def _forget(state: AdwinState, s: int, level: int, buckets: int) -> None:
    kept = state.filled[s, level] - buckets
    for i in range(kept):
        state.totals[s, level, i] = state.totals[s, level, i + buckets]
        state.deviations[s, level, i] = state.deviations[s, level, i + buckets]
    state.filled[s, level] = kept


@kernel
def _merge(state: AdwinState, s: int) -> None:
    """Keep at most `max_buckets` buckets a level: the two oldest of a full level become one of the next."""
    full = state.totals.shape[2]
    level = 0
    while state.filled[s, level] == full:
        if level + 1 == state.levels[s]:
            state.levels[s] += 1
        size = float(1 << level)
        difference = state.totals[s, level, 0] / size - state.totals[s, level, 1] / size
        last = state.filled[s, level + 1]
        state.totals[s, level + 1, last] = state.totals[s, level, 0] + state.totals[s, level, 1]
        state.deviations[s, level + 1, last] = (
            state.deviations[s, level, 0] + state.deviations[s, level, 1] + size * 0.5 * difference * difference
        )
        state.filled[s, level + 1] = last + 1
        _forget(state, s, level, 2)
        level += 1


@kernel
def _drop_oldest(state: AdwinState, s: int) -> None:
    level = state.levels[s] - 1
    size = float(1 << level)
    total = state.totals[s, level, 0]
    state.width[s] -= size
    state.total[s] -= total
    width = state.width[s]
    difference = total / size - state.total[s] / width
    state.squares[s] -= state.deviations[s, level, 0] + size * width * difference * difference / (size + width)
    _forget(state, s, level, 1)
    if state.filled[s, level] == 0:
        state.levels[s] -= 1


@kernel
def _strongest_cut(state: AdwinState, s: int, delta: float, shortest: float) -> tuple[float, float, float]:
    """Return (events, sum, ratio) of the newer side of the split that exceeds its bound most.

    The ratio is (newer - older mean) / bound; 0 when no split exceeds its bound.
    """
    width = state.width[s]
    confidence = math.log(2.0 * math.log(width) / delta)
    best_events, best_total, best_ratio = 0.0, 0.0, 0.0
    # A split is no cut, whatever the last bits, where the square of its difference is well below the bound's first
    # part, whose spread is at least 1/older + 1/newer. That is most of them, and needs no division.
    reach = _SURELY * 2.0 * state.squares[s] * confidence if shortest >= 1.0 else -1.0
    older, newer = 0.0, width
    older_total, newer_total = 0.0, state.total[s]
    for level in range(state.levels[s] - 1, -1, -1):
        size = float(1 << level)
        for i in range(state.filled[s, level]):
            older += size
            newer -= size
            older_total += state.totals[s, level, i]
            newer_total -= state.totals[s, level, i]
            if older < shortest or newer < shortest or newer == 0.0:
                continue
            moved = older_total * newer - newer_total * older
            if moved * moved < reach * older * newer:
                continue
            difference = older_total / older - newer_total / newer
            spread = 1.0 / (older - shortest + 1.0) + 1.0 / (newer - shortest + 1.0)
            noise = math.sqrt(2.0 * spread * (state.squares[s] / width) * confidence)
            bound = noise + 2.0 / 3.0 * confidence * spread
            if abs(difference) > bound and abs(difference / bound) > abs(best_ratio):
                best_events, best_total, best_ratio = newer, newer_total, -difference / bound
    return best_events, best_total, best_ratio


@kernel
def _restart(state: AdwinState, s: int) -> None:
    state.total[s] = 0.0
    state.squares[s] = 0.0
    state.width[s] = 0.0
    state.ticks[s] = 0
    state.cut[s] = False
    state.levels[s] = 1
    state.filled[s, :] = 0


@kernel
def replace(state: AdwinState, s: int, later: int, value: float, other: float) -> None:
    """Put another value in the place of one, since which `later` others came; nothing where it has left the window.

    A sum of squared deviations is one of squares less total² / events, so that what a bucket holds is what it would
    hold had the other value come, whichever of its events it is.
    """
    newest = 0
    for level in range(state.levels[s]):
        size = 1 << level
        for i in range(state.filled[s, level] - 1, -1, -1):
            newest += size
            if later >= newest:
                continue
            more, squares = other - value, other * other - value * value
            for_bucket = squares - more * (2.0 * state.totals[s, level, i] + more) / size
            state.deviations[s, level, i] = max(state.deviations[s, level, i] + for_bucket, 0.0)
            state.totals[s, level, i] += more
            for_window = squares - more * (2.0 * state.total[s] + more) / state.width[s]
            state.squares[s] = max(state.squares[s] + for_window, 0.0)
            state.total[s] += more
            if later < state.waiting[s]:
                state.waiting_total[s] += more
            return


@kernel
def fold(
    values: FloatArray,
    state: AdwinState,
    delta: FloatArray,
    clock: int,
    shortest: float,
    grace_period: int,
    min_events: int,
    min_effect: FloatArray,
    reference_mean: FloatArray,
    found: FloatArray,
) -> int:
    """Fold values [series, rows], fill `found` with the detections that passed the gate, return how many."""
    count = 0
    for s in range(values.shape[0]):
        for row in range(values.shape[1]):
            value = values[s, row]
            if not math.isfinite(value):
                continue
            if state.cut[s]:
                _restart(state, s)
            _insert(state, s, value)
            _merge(state, s)
            state.ticks[s] += 1
            events, total, ratio = 0.0, 0.0, 0.0
            if state.ticks[s] % clock == 0 and state.width[s] > grace_period:
                events, total, ratio = _strongest_cut(state, s, delta[s], shortest)
                state.cut[s] = ratio != 0.0
                cutting = state.cut[s]
                while cutting:
                    _drop_oldest(state, s)
                    cutting = _strongest_cut(state, s, delta[s], shortest)[2] != 0.0
            if state.waiting[s] > 0:
                state.waiting[s] += 1
                state.waiting_total[s] += value
            elif ratio != 0.0:
                state.waiting[s] = int(events)
                state.waiting_total[s] = total
                state.waiting_statistic[s] = abs(ratio)
                state.waiting_direction[s] = 1 if ratio > 0.0 else -1
            if state.waiting[s] > 0 and state.waiting[s] >= min_events:
                mean = state.waiting_total[s] / state.waiting[s]
                if abs(mean - reference_mean[s]) >= min_effect[s]:
                    found[count, 0] = row
                    found[count, 1] = s
                    found[count, 2] = state.waiting[s]
                    found[count, 3] = mean
                    found[count, 4] = state.waiting_statistic[s]
                    found[count, 5] = state.waiting_direction[s]
                    count += 1
                state.waiting[s] = 0
    return count
