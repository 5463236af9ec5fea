"""What a week of live traffic has shown of one cell: how much its windows scatter, and by what they are judged.

A column whose windows leave the reference by more than the gate goes by the hour; so does one on which a sequential
detector fired meanwhile. The others stay with the reference, their verdict widened by the scatter.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from services.detector.banks.compiled import dense
from services.detector.baseline import Column, window_rows
from services.detector.seasons.clock import pooled_hours
from services.detector.seasons.mixture import mixtures
from services.detector.seasons.profile import Profile
from services.detector.selftest import ENOUGH_WINDOWS, REFERENCE_WINDOWS, TOLERATED_SHARE
from services.detector.statistics import chi_squared
from services.detector.statistics.arrays import BoolArray
from services.detector.statistics.verdict import pooling_orders
from services.detector.statistics.window_kernel import GROUPS, POOLED_PSI, REFERENCE_N, WIDTH, N, statistics
from services.detector.structs import CodeArray, FloatArray, IntArray


class Learned(msgspec.Struct, frozen=True):
    """One cell's calibration, frozen. Arrays have an entry per column."""

    profile: Profile | None  # None where no column goes by the hour
    by_hour: np.ndarray  # bool
    phi: np.ndarray  # float64 >= 1: overdispersion of the windows, against what they will be compared with
    peak: np.ndarray  # float64: largest debiased PSI of a window against that
    unsteady: np.ndarray  # bool: not even the hour explains its windows


class Week(msgspec.Struct, frozen=True):
    """What was gathered of one cell."""

    rows: np.ndarray  # int64 [HOURS]
    counts: np.ndarray  # int32 [HOURS, codes of all columns side by side]
    scores: np.ndarray  # int32 [HOURS, bins of normal scores of all numeric columns side by side]; of all traffic only
    windows: int
    over: np.ndarray  # int64 [columns]: windows over the gate, against the reference
    sample: np.ndarray  # int64 [sampled windows, codes]
    clocks: np.ndarray  # int64 [sampled windows, HOURS]


def over_gate(found: FloatArray, gates: FloatArray | float) -> BoolArray:
    """Return which windows are over their effect gate, from their statistics, shape (..., WIDTH)."""
    over: BoolArray = _debiased(found) > gates
    return over


def conclude(cell: int, week: Week, columns: Sequence[Column], calibrating: BoolArray, restless: BoolArray) -> Learned:
    """Return what the week says of a cell.

    calibrating: the columns that are, [columns]; restless: those on which a sequential detector fired.
    """
    pools = pooled_hours(week.rows, REFERENCE_WINDOWS * window_rows(cell))
    profile = Profile(pools, _pooled(pools, week.counts), _pooled(pools, week.scores))
    by_hour = calibrating & ((week.over > TOLERATED_SHARE * week.windows) | restless)
    phi, peak = np.ones(len(columns)), np.zeros(len(columns))
    unsteady = np.zeros(len(columns), np.bool_)
    starts = np.cumsum([0, *(column.bins for column in columns)])
    for place in np.flatnonzero(calibrating).tolist():
        column, codes = columns[place], slice(int(starts[place]), int(starts[place + 1]))
        if by_hour[place]:
            references = mixtures(profile, week.clocks, codes)
        else:
            references = np.repeat(column.counts[cell : cell + 1].astype(np.float64), len(week.sample), axis=0)
        found = compared(week.sample[:, codes], references, ordered=column.is_numeric)
        phi[place], peak[place], is_unsteady = scatter(found, column.gate)
        unsteady[place] = is_unsteady and by_hour[place]  # the others were over the gate too rarely, all counted
    return Learned(profile if by_hour.any() else None, by_hour, phi, peak, unsteady)


def _pooled(pools: IntArray, hourly: CodeArray) -> CodeArray:
    counts = np.zeros((int(pools.max()) + 1, hourly.shape[1]), np.int32)
    np.add.at(counts, pools, hourly)
    return counts


def compared(counts: IntArray, references: FloatArray, *, ordered: bool) -> FloatArray:
    """Return the statistics of windows, each against a reference of its own; [windows, WIDTH]."""
    found = np.empty((len(counts), WIDTH))
    orders = pooling_orders(references, ordered=ordered)
    statistics(dense(counts, np.float64), np.arange(len(counts)), dense(references, np.float64), orders, found)
    return found


def _debiased(found: FloatArray) -> FloatArray:
    tested = found[..., GROUPS] > 1
    unit = 1 / np.where(tested, found[..., N], 1.0) + 1 / np.where(tested, found[..., REFERENCE_N], 1.0)
    debiased: FloatArray = np.where(tested, found[..., POOLED_PSI] - (found[..., GROUPS] - 1) * unit, 0.0)
    return debiased


def scatter(found: FloatArray, gate: float) -> tuple[float, float, bool]:
    """Return phi, the largest debiased PSI, and whether too many windows are over the gate."""
    found = found[found[:, GROUPS] > 1]
    if len(found) == 0:
        return 1.0, 0.0, False
    unit = 1 / found[:, N] + 1 / found[:, REFERENCE_N]
    ratios = found[:, POOLED_PSI] / unit / chi_squared.median(found[:, GROUPS] - 1)
    over = int(over_gate(found, gate).sum())
    is_unsteady = over > TOLERATED_SHARE * len(found) if len(found) >= ENOUGH_WINDOWS else over > 0
    return max(1.0, float(np.median(ratios))), float(_debiased(found).max()), is_unsteady
