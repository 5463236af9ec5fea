"""The outlook of windows: the chance that one of an unchanged stream passes both the p-level and the effect gate.

Where windows are compared with a trailing reference, what is foretold is what holds once its days are known. Cells of
which the days hold too few rows stay with the frozen reference, as they will live.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from services.detector import budget
from services.detector.baseline import Arming, Baseline, calibrates, window_rows
from services.detector.day_windows import DAYS_A_WEEK
from services.detector.mixes.reference import tests_per_week
from services.detector.outlook.series import Binds, Outlook, Series, Sight, rows_per_week
from services.detector.selftest import REFERENCE_WINDOWS
from services.detector.statistics import power
from services.detector.statistics.arrays import BoolArray
from services.detector.statistics.verdict import pool
from services.detector.structs import FloatArray

HALF = 0.5

Place = tuple[int, int]  # column, cell


@dataclass(frozen=True, slots=True)
class ArmedWindows:
    """Windows that may page: one entry a series."""

    places: list[Place]
    shares: list[FloatArray]  # of the pooled bins
    unit: FloatArray  # one degree of freedom's worth of PSI
    rows: FloatArray  # of the reference
    weekly: FloatArray  # windows a week
    gates: FloatArray  # the debiased PSI that matters

    @property
    def bins(self) -> FloatArray:
        """Return how many pooled bins each has."""
        return np.array([len(shares) for shares in self.shares], np.float64)


@dataclass(frozen=True, slots=True)
class WindowPower:
    """What armed windows are worth: one entry a series."""

    chance: FloatArray  # of a detection, per window, without a change
    psi: FloatArray  # between the distributions, found in half of the cases
    is_gate: BoolArray  # whether the gate is what that has to pass, not the p-level


class Windows(NamedTuple):
    """The windows of one cell."""

    rows: float  # in each
    weekly: float  # how many
    reference: float  # rows of what they are compared with


@dataclass(frozen=True, slots=True)
class _Compared:
    """Cells whose windows are compared with the same reference."""

    detector: str  # as culprits name it
    arming: Arming
    of_cell: Callable[[int], Windows]
    cells: list[int]


def of_windows(baseline: Baseline, shares: budget.Shares) -> Outlook:
    """Return the outlook of the count windows of every cell."""
    levels = budget.window_levels(shares.windows, windows_per_week(baseline))
    false_per_week, series = 0.0, []
    for compared in _compared(baseline):
        armed = armed_windows(baseline, compared.arming, compared.of_cell, compared.cells)
        found = power_of(armed, levels)
        seen = sights(baseline, armed, found)
        false_per_week += float((armed.weekly * found.chance).sum())
        series += [
            _series(baseline, compared, (place, cell), *seen.get((place, cell), (None, None)))
            for cell in compared.cells
            for place in range(len(baseline.columns))
        ]
    return Outlook(false_per_week=false_per_week, is_bound=False, series=series)


def windows_per_week(baseline: Baseline) -> float:
    """Return the declared number of window tests in a week: of every column of every cell, of pairs and of mixes."""
    per_column = sum(_weekly(baseline, cell) for cell in range(len(baseline.cells)))
    of_pairs = 0.0 if baseline.pairs is None else baseline.pairs.tests_per_week(rows_per_week(baseline), baseline.rows)
    of_mixes = tests_per_week(baseline.mixes, rows_per_week(baseline))
    return max(per_column * len(baseline.columns) + of_pairs + of_mixes, 1e-9)


def cell_rows_per_week(baseline: Baseline, cell: int) -> float:
    """Return how many rows of a cell a week brings."""
    return rows_per_week(baseline) * float(baseline.cell_rows[cell]) / max(baseline.rows, 1)


def armed_windows(
    baseline: Baseline, arming: Arming, of_cell: Callable[[int], Windows], cells: Sequence[int]
) -> ArmedWindows:
    """Return the windows of some cells that may page and have two bins to compare."""
    places: list[Place] = []
    shares, unit, rows = [], [], []
    chosen = np.isin(np.arange(len(baseline.cells)), cells)
    for place, cell in np.argwhere((arming.reason == 0) & chosen).tolist():
        column, windows = baseline.columns[place], of_cell(cell)
        counts = column.counts[cell]
        share_known = float(counts.sum()) / float(baseline.cell_rows[cell])
        n, known = windows.rows * share_known, windows.reference * share_known
        pooled = np.bincount(pool(counts, n, ordered=column.is_numeric), weights=counts)
        if pooled.size < 2:
            continue
        places.append((place, cell))
        shares.append(pooled / pooled.sum())
        unit.append((1 / n + 1 / known) * float(arming.phi[place, cell]))
        rows.append(known)
    weekly = [of_cell(cell).weekly for _, cell in places]
    gates = [baseline.columns[place].gate for place, _ in places]
    return ArmedWindows(places, shares, np.array(unit), np.array(rows), np.array(weekly), np.array(gates))


def power_of(armed: ArmedWindows, levels: budget.WindowLevels) -> WindowPower:
    """Return what windows are worth at these p-levels and the effect gate, which the second of two must pass.

    Two running windows count as independent: what they share is a reference of ten windows at least.
    """
    bins, unit = armed.bins, armed.unit
    gate = armed.gates + (bins - 1) * unit
    single, running = (power.psi_at_level(level, bins, unit, armed.rows) for level in (levels.single, levels.running))
    alone, paired = np.maximum(gate, single), np.maximum(gate, running)
    by_chance = power.chance_without_change(np.stack([alone, paired, running]), bins, unit)
    by_one = power.psi_found(alone, bins, unit, HALF)
    by_two = np.where(armed.weekly >= 2, power.psi_found(paired, bins, unit, math.sqrt(HALF)), np.inf)
    is_gate = gate >= np.where(by_two < by_one, running, single)
    return WindowPower(by_chance[0] + by_chance[1] * by_chance[2], np.minimum(by_one, by_two), is_gate)


def sights(baseline: Baseline, armed: ArmedWindows, found: WindowPower) -> dict[Place, tuple[Sight, Binds]]:
    """Return what each series finds, and what that has to pass."""
    shifts = _shifts(baseline, armed, found.psi)
    return {
        place: (Sight(psi=psi, sd=sd), Binds.GATE if is_gate else Binds.BUDGET)
        for place, psi, sd, is_gate in zip(
            armed.places, found.psi.tolist(), shifts, found.is_gate.tolist(), strict=True
        )
    }


def _compared(baseline: Baseline) -> Iterator[_Compared]:
    """Yield which cells are compared with the frozen reference, and which with the days before."""

    def frozen(cell: int) -> Windows:
        return Windows(window_rows(cell), _weekly(baseline, cell), float(baseline.cell_rows[cell]))

    def recent(cell: int) -> Windows:
        days = 0 if baseline.trailing is None else baseline.trailing.of.days
        return frozen(cell)._replace(reference=cell_rows_per_week(baseline, cell) * days / DAYS_A_WEEK)

    def is_recent(cell: int) -> bool:
        return recent(cell).reference >= REFERENCE_WINDOWS * window_rows(cell)

    cells = range(len(baseline.cells))
    yield _Compared("psi", baseline.arming, frozen, [cell for cell in cells if not is_recent(cell)])
    if baseline.trailing is not None:
        yield _Compared("psi_trailing", baseline.trailing.arming, recent, [cell for cell in cells if is_recent(cell)])


def _weekly(baseline: Baseline, cell: int) -> float:
    return cell_rows_per_week(baseline, cell) / window_rows(cell)


def _shifts(baseline: Baseline, armed: ArmedWindows, psi: FloatArray) -> list[float | None]:
    """Return each PSI as a shift of the mean; None for categories, and where no such shift makes so much of it."""
    found: list[float | None] = [None] * len(armed.places)
    numeric = np.array([baseline.columns[place].is_numeric for place, _ in armed.places], np.bool_)
    for bins in np.unique(armed.bins[numeric]):
        at = np.flatnonzero(numeric & (armed.bins == bins))
        shifts = power.shift_of_psi(np.array([armed.shares[i] for i in at]), psi[at])
        for i, shift in zip(at, shifts.tolist(), strict=True):
            found[i] = shift if math.isfinite(shift) else None
    return found


def _series(baseline: Baseline, compared: _Compared, at: Place, sight: Sight | None, binds: Binds | None) -> Series:
    place, cell = at
    column, rows, weekly = baseline.columns[place], window_rows(cell), _weekly(baseline, cell)
    is_blind = sight is not None and weekly < 1
    return Series(
        name=column.name,
        segment=baseline.cells[cell],
        kind=column.kind,
        detector=compared.detector,
        why_not=compared.arming.why_not(place, cell) or calibrates(baseline.untested[place]),
        binds=binds,
        sight=None if is_blind else sight,
        why_blind=f"{rows} rows take {1 / weekly:.1f} weeks, then PSI {sight.psi:.2f}" if is_blind and sight else "",
    )
