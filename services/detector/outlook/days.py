"""The outlook of windows of whole days: three running ones over the gate."""

from __future__ import annotations

from functools import partial

import numpy as np

from services.detector import budget
from services.detector.baseline import Baseline
from services.detector.day_windows import DAYS_A_WEEK, OWN_PEAK, RUNNING_DAYS
from services.detector.outlook.series import Binds, Outlook, Series, Sight
from services.detector.outlook.windows import (
    HALF,
    ArmedWindows,
    Place,
    WindowPower,
    Windows,
    armed_windows,
    cell_rows_per_week,
    sights,
)
from services.detector.selftest import DAY_ROWS
from services.detector.statistics import power


def of_day_windows(baseline: Baseline, shares: budget.Shares) -> Outlook:
    """Return the outlook of the day windows of every cell; those of a day of too few rows never close."""
    armed = armed_windows(baseline, baseline.days, partial(_windows, baseline), range(len(baseline.cells)))
    windows = max(len(armed.places), 1) * DAYS_A_WEEK
    found = _power_of(baseline, armed, budget.running_level(shares.day_windows, windows, RUNNING_DAYS))
    closes = np.array([_daily(baseline, cell) >= DAY_ROWS for _, cell in armed.places], np.bool_)
    seen = sights(baseline, armed, found)
    return Outlook(
        false_per_week=float((armed.weekly * found.chance)[closes].sum()),
        is_bound=False,
        series=[
            _series(baseline, (place, cell), *seen.get((place, cell), (None, None)))
            for cell in range(len(baseline.cells))
            for place in range(len(baseline.columns))
        ],
    )


def _power_of(baseline: Baseline, armed: ArmedWindows, level: float) -> WindowPower:
    """Return what the last of three days is worth when each has to pass the level and its cell's own gate."""
    gates = [_gate(baseline, place) for place in armed.places]
    bins, unit = armed.bins, armed.unit
    gate, needed = np.array(gates) + (bins - 1) * unit, power.psi_at_level(level, bins, unit, armed.rows)
    each = np.maximum(gate, needed)
    chance = power.chance_without_change(each, bins, unit) ** RUNNING_DAYS
    return WindowPower(chance, power.psi_found(each, bins, unit, HALF ** (1 / RUNNING_DAYS)), gate >= needed)


def _windows(baseline: Baseline, cell: int) -> Windows:
    return Windows(max(_daily(baseline, cell), 1.0), DAYS_A_WEEK, float(baseline.cell_rows[cell]))


def _gate(baseline: Baseline, place: Place) -> float:
    days, column = baseline.days, baseline.columns[place[0]]
    if baseline.untested[place[0]]:
        return column.gate  # of one day, while it calibrates: what is learned then is not known yet
    return OWN_PEAK * float(days.peak[place]) if days.unsteady[place] else column.day_gate


def _daily(baseline: Baseline, cell: int) -> float:
    return cell_rows_per_week(baseline, cell) / DAYS_A_WEEK


def _series(baseline: Baseline, at: Place, sight: Sight | None, binds: Binds | None) -> Series:
    place, cell = at
    column, rows = baseline.columns[place], _daily(baseline, cell)
    why_not, is_short = baseline.days.why_not(place, cell), rows < DAY_ROWS
    why_blind = f"a day brings {rows:.0f} rows, {DAY_ROWS} are needed" if is_short else ""
    if sight is None and not is_short:
        why_blind = "nearly all rows hold one value: nothing to compare"
    return Series(
        name=column.name,
        segment=baseline.cells[cell],
        kind=column.kind,
        detector="psi_days",
        why_not=why_not,
        binds=None if is_short else binds,
        sight=None if is_short else sight,
        why_blind="" if why_not else why_blind,
    )
