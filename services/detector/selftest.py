"""The baseline's test of itself: how much the reference's own windows differ from one another.

A column whose own windows move as much as a drift would (seasons, clustered rows) must not page on windows, and the
scatter of the others widens their verdict by phi. Only a reference in time order can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.detector.baseline import GATE_PSI, Arming, Column, window_rows
from services.detector.segments import Memberships
from services.detector.signals.columns import Codes
from services.detector.statistics import chi_squared
from services.detector.statistics.verdict import pool
from services.detector.structs import FloatArray, IntArray

DAY_ROWS = 500  # a day of fewer is no window
NO_VALUES = "the reference has no values"
ENOUGH_WINDOWS = 20
TOLERATED_SHARE = 0.01
REFERENCE_WINDOWS = 10  # a reference is this many windows long, or it is thin
IDENTIFIER_SHARE = 0.3
SEASON_BOUND = "season-bound"
UNSTEADY = "unsteady"


@dataclass(frozen=True, slots=True)
class OwnWindows:
    """What the reference's own windows, each against the rest, say of one cell of a column."""

    phi: float  # median statistic over the median of its law, at least 1
    peak: float  # largest debiased PSI
    is_unsteady: bool


STEADY = OwnWindows(1.0, 0.0, False)


def own_windows(codes: Codes, rows: int, reference: IntArray, *, ordered: bool, gate: float = GATE_PSI) -> OwnWindows:
    """Return what windows of `rows` rows say; `codes` are the cell's rows in time order, `reference` their counts.

    Unsteady: the debiased PSI exceeds the gate in more than 1 % of at least 20 windows; with fewer, in any one.
    """
    windows = codes.size // rows
    number = np.repeat(np.arange(windows), rows)
    return _against_the_rest(codes[: number.size], number, windows, rows, reference, gate, ordered=ordered)


def own_days(codes: Codes, days: IntArray, reference: IntArray, *, ordered: bool, gate: float) -> OwnWindows:
    """Return what whole days say; `days` are the days of the cell's rows, ascending.

    The first day and the last may be parts. A day of fewer than DAY_ROWS rows is left out.
    """
    _, number, sizes = np.unique(days, return_inverse=True, return_counts=True)
    whole = sizes >= DAY_ROWS
    whole[[0, -1]] = False
    kept = whole[number]
    if not kept.any():
        return STEADY
    places = np.cumsum(whole) - 1
    rows = float(np.median(sizes[whole]))
    number = places[number[kept]]
    return _against_the_rest(codes[kept], number, int(whole.sum()), rows, reference, gate, ordered=ordered)


def _against_the_rest(
    codes: Codes, number: IntArray, windows: int, rows: float, reference: IntArray, gate: float, *, ordered: bool
) -> OwnWindows:
    """Compare each window, `number` says which a row is in, with the rest of the reference."""
    groups = pool(reference, rows, ordered=ordered)
    bins = int(groups.max()) + 1 if groups.size else 0
    if windows < 2 or bins < 2:
        return STEADY
    counts = _pooled(codes, number, windows, groups, bins)
    return scatter(counts, np.bincount(groups, weights=reference, minlength=bins) - counts, gate)


def scatter(counts: FloatArray, rest: FloatArray, gate: float) -> OwnWindows:
    """Return what windows say of counts [windows, bins], each against its own `rest`."""
    bins = counts.shape[1]
    n, size = counts.sum(axis=1, keepdims=True), rest.sum(axis=1, keepdims=True)
    compared = ((n > 0) & (size > 0)).ravel()
    counts, rest, n, size = counts[compared], rest[compared], n[compared], size[compared]
    if n.size < 2:
        return STEADY
    q, a = (counts + 0.5) / (n + bins / 2), (rest + 0.5) / (size + bins / 2)
    unit = (1 / n + 1 / size).ravel()
    psi = ((q - a) * np.log(q / a)).sum(axis=1)
    debiased = psi - (bins - 1) * unit
    over = int((debiased > gate).sum())
    is_unsteady = over > TOLERATED_SHARE * n.size if n.size >= ENOUGH_WINDOWS else over > 0
    phi = max(1.0, float(np.median(psi / unit)) / float(chi_squared.median(bins - 1)))
    return OwnWindows(phi, float(debiased.max()), is_unsteady)


def arm(
    columns: Sequence[Column],
    codes: Sequence[Codes],
    memberships: Memberships,
    cell_rows: IntArray,
    *,
    is_tested: bool,
) -> Arming:
    """Return which cells may page on windows, and why the others may not.

    is_tested: whether the order of the reference's rows says anything; else what it would say is left open.
    """
    shape = (len(columns), cell_rows.size)
    phi, peak = np.ones(shape), np.zeros(shape)
    unsteady = np.zeros(shape, dtype=np.bool_)
    if is_tested:
        for cell, rows in rows_by_cell(memberships, cell_rows):
            for place, column in enumerate(columns):
                if is_identifier(column):
                    continue
                found = own_windows(
                    codes[place][rows],
                    window_rows(cell),
                    column.counts[cell],
                    ordered=column.is_numeric,
                    gate=column.gate,
                )
                phi[place, cell], peak[place, cell], unsteady[place, cell] = found.phi, found.peak, found.is_unsteady
    reasons: dict[str, int] = {"": 0}
    reason = np.zeros(shape, dtype=np.int32)
    for place, column in enumerate(columns):
        for cell in range(cell_rows.size):
            why = _identifies(column) or _unsteady(unsteady[place], peak[place], cell)
            why = why or too_little(column, cell)
            reason[place, cell] = reasons.setdefault(why, len(reasons))
    return Arming(reason=reason, reasons=list(reasons)[1:], phi=phi, peak=peak, unsteady=unsteady)


def arm_days(
    columns: Sequence[Column],
    codes: Sequence[Codes],
    memberships: Memberships,
    cell_rows: IntArray,
    days: IntArray | None,
    *,
    is_tested: bool,
) -> Arming:
    """Return which cells may page on whole days; where they are unsteady, only above their own peak.

    days: the day of each row of the reference; None where that is not known. is_tested: as of `arm`; otherwise every
    cell with values may page, by a gate that knows nothing of its days.
    """
    shape = (len(columns), cell_rows.size)
    phi, peak = np.ones(shape), np.zeros(shape)
    unsteady = np.zeros(shape, dtype=np.bool_)
    reason = np.zeros(shape, dtype=np.int32)
    reasons: dict[str, int] = {"": 0}
    tested = {} if not is_tested or days is None else dict(rows_by_cell(memberships, cell_rows))
    for place, column in enumerate(columns):
        for cell in range(cell_rows.size):
            why = _identifies(column) or _no_values(column, cell)
            if not why and is_tested and (days is None or cell not in tested or not _has_days(days[tested[cell]])):
                why = f"the reference has not two whole days of {DAY_ROWS} rows"
            reason[place, cell] = reasons.setdefault(why, len(reasons))
            if why or days is None or not is_tested:
                continue
            rows = tested[cell]
            found = own_days(
                codes[place][rows],
                days[rows],
                column.counts[cell],
                ordered=column.is_numeric,
                gate=column.day_gate,
            )
            phi[place, cell], peak[place, cell], unsteady[place, cell] = found.phi, found.peak, found.is_unsteady
    return Arming(reason=reason, reasons=list(reasons)[1:], phi=phi, peak=peak, unsteady=unsteady)


def _has_days(days: IntArray) -> bool:
    _, sizes = np.unique(days, return_counts=True)
    return int((sizes[1:-1] >= DAY_ROWS).sum()) >= 2


def _pooled(codes: Codes, number: IntArray, windows: int, groups: IntArray, bins: int) -> FloatArray:
    known = codes >= 0
    counts = np.bincount(number[known] * bins + groups[codes[known]], minlength=windows * bins)
    return counts.reshape(windows, bins).astype(np.float64)


def rows_by_cell(memberships: Memberships, cell_rows: IntArray) -> list[tuple[int, IntArray]]:
    """Return the rows, in order, of every cell that holds two windows or more."""
    found = []
    for membership in memberships.T:
        order = np.argsort(membership, kind="stable")
        starts = np.searchsorted(membership[order], np.arange(cell_rows.size + 1))
        for cell in range(cell_rows.size):
            rows = order[starts[cell] : starts[cell + 1]]
            if rows.size >= 2 * window_rows(cell):
                found.append((cell, rows))
    return found


def is_identifier(column: Column) -> bool:
    """Tell whether so many values of a column occur once that it names its rows."""
    return column.singletons > IDENTIFIER_SHARE


def _identifies(column: Column) -> str:
    return f"an identifier: {column.singletons:.0%} of its values occur once" if is_identifier(column) else ""


def _unsteady(unsteady: npt.NDArray[np.bool_], peak: FloatArray, cell: int) -> str:
    """Return why a column's own movement disarms a cell: a season on all traffic runs through the segments too."""
    if unsteady[cell]:
        return f"{UNSTEADY}: its own windows differ by PSI up to {peak[cell]:.2g}"
    return f"{UNSTEADY} on all traffic" if unsteady[0] else ""


def _no_values(column: Column, cell: int) -> str:
    return "" if column.counts[cell].sum() > 0 else NO_VALUES


def too_little(column: Column, cell: int) -> str:
    """Return why a cell's reference is too little to compare with; empty where it is enough."""
    counts, rows = column.counts[cell], window_rows(cell)
    known = int(counts.sum())
    if known == 0:
        return NO_VALUES
    if known < REFERENCE_WINDOWS * rows:
        return f"reference is thin ({known} rows; needs {REFERENCE_WINDOWS * rows})"
    if pool(counts, rows, ordered=column.is_numeric).max() == 0:
        return "nearly all rows hold one value: nothing to compare"
    return ""
