"""The outlook of the sequential detectors of codes on all traffic: e-detectors, and the CUSUMs of rare levels."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from services.detector import budget
from services.detector.banks.e_detector import WEIGHTS
from services.detector.banks.levels import reference_rates
from services.detector.banks.rare_levels import MIN_LEVELS, MIN_RATIO, ODDS
from services.detector.baseline import ALL, Baseline, Coded, Column, calibrates
from services.detector.coded import watched
from services.detector.outlook.sequential import too_few
from services.detector.outlook.series import Binds, Outlook, Series, Sight, rows_per_week
from services.detector.statistics import power
from services.detector.statistics.verdict import TOLERATED_PSI

INCREASES = tuple(ratio for ratio in ODDS if ratio > 1)
Found = tuple[Sight, Binds]


def of_e_detector(baseline: Baseline, shares: budget.Shares) -> Outlook:
    """Return the outlook of e-detectors: their threshold limits them, and the gate of every distance between shares."""
    armed = [one for one in baseline.coded if not one.e_detector]
    threshold = budget.e_detector_threshold(shares.e_detector, rows_per_week(baseline) * max(len(armed), 1))
    return Outlook(
        false_per_week=shares.e_detector if armed else 0.0,
        is_bound=True,
        series=[
            _series(
                baseline, one, "e_detector", one.e_detector, lambda column, events: _evident(column, threshold, events)
            )
            for one in baseline.coded
        ],
    )


def of_rare_levels(baseline: Baseline, shares: budget.Shares) -> Outlook:
    """Return the outlook of rare levels; of a column, that of the level whose rate need grow least."""
    armed = [baseline.columns[one.column] for one in baseline.coded if not one.rare_levels]
    levels = sum(int(watched(column).max()) + 1 for column in armed)
    updates = rows_per_week(baseline) * max(levels, 1)
    threshold = budget.likelihood_threshold(shares.rare_levels, updates, len(ODDS))
    return Outlook(
        false_per_week=shares.rare_levels if armed else 0.0,
        is_bound=True,
        series=[
            _series(
                baseline,
                one,
                "rare_levels",
                one.rare_levels,
                lambda column, events: _more_frequent(column, threshold, events),
            )
            for one in baseline.coded
        ],
    )


def _evident(column: Column, threshold: float, events: float) -> Found | None:
    counts = column.counts[0]
    shares = counts[counts > 0] / counts.sum()
    tolerance = max(TOLERATED_PSI, 2 * (len(shares) - 1) / float(counts.sum()))
    needed = power.psi_evident(tolerance, threshold, events, WEIGHTS)
    psi = max(needed, column.gate)
    shift = float(power.shift_of_psi(shares[None], np.array([psi]))[0]) if column.is_numeric else math.inf
    return Sight(psi=psi, sd=shift if math.isfinite(shift) else None), Binds.GATE if psi > needed else Binds.BUDGET


def _more_frequent(column: Column, threshold: float, events: float) -> Found | None:
    """Return the smallest growth that is found: by the likelihood ratio, over the gate, and of enough events."""
    numbers, counts = watched(column), column.counts[0]
    held = np.array([counts[numbers == number].sum() for number in range(int(numbers.max()) + 1)])
    rates = reference_rates(held, np.full(held.shape, counts.sum()))
    growths = []
    for before, high in zip(rates.observed.tolist(), rates.high.tolist(), strict=True):
        needed = power.rate_found(high, threshold, events, INCREASES)
        gate = max(MIN_RATIO * before, MIN_LEVELS / events)
        growths.append((max(needed, gate) / before, before, Binds.GATE if gate >= needed else Binds.BUDGET))
    growth, before, binds = min(growths)
    return (Sight(rate=growth * before, reference_rate=before), binds) if growth * before < 1 else None


def _series(
    baseline: Baseline,
    coded: Coded,
    detector: str,
    why_not: str,
    found: Callable[[Column, float], Found | None],
) -> Series:
    column, why_not = baseline.columns[coded.column], why_not or calibrates(baseline.untested[coded.column])
    events = rows_per_week(baseline) * float(column.counts[0].sum()) / max(baseline.rows, 1)
    why_blind = "" if why_not else too_few(events)
    seen = None if why_not or why_blind else found(column, events)
    if seen is None and not why_not:
        why_blind = why_blind or f"a week brings {events:.0f} events, too few for any shift"
    return Series(
        name=column.name,
        segment=ALL,
        kind=column.kind,
        detector=detector,
        why_not=why_not,
        binds=None if seen is None else seen[1],
        sight=None if seen is None else seen[0],
        why_blind=why_blind,
    )
