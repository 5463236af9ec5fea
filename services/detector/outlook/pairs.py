"""The outlook of windows of pairs: coefficients whose z is normal, and joint tables, which are windows like others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from services.detector import budget
from services.detector.baseline import ALL, Baseline
from services.detector.outlook.series import Binds, Outlook, Series, Sight, rows_per_week
from services.detector.outlook.windows import HALF, ArmedWindows, power_of
from services.detector.pairs.closed import CORRELATION, GATE, JOINT
from services.detector.pairs.reference import (
    COEFFICIENTS,
    WINDOW_ROWS,
    Coefficient,
    ReferenceCoefficient,
    ReferenceJoint,
    ReferencePair,
)
from services.detector.statistics.correlation import VARIANCE, fisher
from services.detector.statistics.verdict import pool

PAIR = "pair"  # the kind of a pair's series


def of_pairs(baseline: Baseline, levels: budget.WindowLevels) -> Outlook:
    """Return the outlook of everything that the configuration watches of pairs."""
    if baseline.pairs is None:
        return Outlook(false_per_week=0.0, is_bound=False, series=[])
    weekly = rows_per_week(baseline) / WINDOW_ROWS
    labelled = weekly * baseline.pairs.labels / max(baseline.rows, 1)
    found = [_of_pair(pair, levels, labelled if pair.needs_labels else weekly) for pair in baseline.pairs.correlations]
    found += _of_tables(baseline.pairs.joint, levels, weekly)
    return Outlook(
        false_per_week=sum(false for false, _ in found), is_bound=False, series=[series for _, series in found]
    )


@dataclass(frozen=True, slots=True)
class _Power:
    """What windows of one coefficient are worth against a difference to one side."""

    chance: float  # of a detection, per window, without a change
    delta: float  # of the coefficient, found in half of the cases
    binds: Binds


def _of_pair(pair: ReferencePair, levels: budget.WindowLevels, weekly: float) -> tuple[float, Series]:
    """Return the false detections of both coefficients a week, and the smallest difference that either finds."""
    armed = [of for of in COEFFICIENTS if not pair.coefficient(of).reason]
    if not armed:
        return 0.0, _series(pair.name, CORRELATION, pair.pearson.reason, weekly, None)
    powers = [_power(pair.coefficient(of), of, side, levels, weekly) for of in armed for side in (1, -1)]
    best = min(powers, key=lambda power: power.delta)
    seen = Sight(correlation=best.delta), best.binds
    return weekly * sum(power.chance for power in powers), _series(pair.name, CORRELATION, "", weekly, seen)


def _power(
    reference: ReferenceCoefficient, of: Coefficient, side: int, levels: budget.WindowLevels, weekly: float
) -> _Power:
    r = reference.r or 0.0
    error = math.sqrt(VARIANCE[of] * reference.phi * (1 / (WINDOW_ROWS - 3) + 1 / (reference.rows - 3)))
    if abs(r + side * GATE) >= 1:
        return _Power(0.0, math.inf, Binds.GATE)
    gate = abs(fisher(r + side * GATE) - fisher(r)) / error
    single, running = (-float(ndtri(level / 2)) for level in (levels.single, levels.running))
    alone, paired = max(single, gate), max(running, gate)
    # The first of two running windows need not pass the gate, and may be off to the other side.
    chance = float(ndtr(-alone) + ndtr(-paired) * 2 * ndtr(-running))
    by_two = paired + float(ndtri(math.sqrt(HALF))) if weekly >= 2 else math.inf
    delta = abs(math.tanh(fisher(r) + side * min(alone, by_two) * error) - r)
    is_gate = gate >= (running if by_two < alone else single)
    return _Power(chance, delta, Binds.GATE if is_gate else Binds.BUDGET)


def _of_tables(
    tables: Sequence[ReferenceJoint], levels: budget.WindowLevels, weekly: float
) -> Iterator[tuple[float, Series]]:
    for table in tables:
        if table.reason:
            yield 0.0, _series(table.name, JOINT, table.reason, weekly, None)
            continue
        known = float(table.counts.sum())
        pooled = np.bincount(pool(table.counts, WINDOW_ROWS, ordered=False), weights=table.counts)
        unit = np.array([(1 / WINDOW_ROWS + 1 / known) * table.phi])
        one = np.array([1.0])
        windows = ArmedWindows([(0, 0)], [pooled / known], unit, known * one, weekly * one, GATE * one)
        power = power_of(windows, levels)
        sight = Sight(psi=float(power.psi[0]))
        binds = Binds.GATE if power.is_gate[0] else Binds.BUDGET
        yield weekly * float(power.chance[0]), _series(table.name, JOINT, "", weekly, (sight, binds))


def _series(name: str, detector: str, why_not: str, weekly: float, seen: tuple[Sight, Binds] | None) -> Series:
    sight, binds = (None, None) if seen is None else seen
    why_blind = ""
    if sight is not None and weekly < 1:
        size = f"PSI {sight.psi:.2f}" if sight.psi is not None else f"correlation by {sight.correlation:.2f}"
        weeks = f"{1 / weekly:.1f} weeks" if weekly > 0 else "for ever"
        sight, why_blind = None, f"{WINDOW_ROWS} rows take {weeks}, then {size}"
    return Series(
        name=name,
        segment=ALL,
        kind=PAIR,
        detector=detector,
        why_not=why_not,
        binds=binds,
        sight=sight,
        why_blind=why_blind,
    )
