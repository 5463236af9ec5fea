"""The outlook of the sequential detectors of numeric columns on all traffic.

Their share of the budget bounds their false detections. So does their gate: of all events that might be the onset of
one, only those count from which the sum stays over the gate on enough events.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from services.detector import budget
from services.detector.banks.page_hinkley import VERDICT_DELTA
from services.detector.baseline import ALL, Baseline, Sequential, calibrates
from services.detector.outlook.series import Binds, Outlook, Series, Sight, rows_per_week
from services.detector.sequential import MIN_EVENTS, NORMAL_SCORE_GATE, RANK_GATE, WARM_ROWS
from services.detector.statistics import power

RANK_SD = math.sqrt(1 / 12)


class Shift(NamedTuple):
    """A shift of the mean in standard deviations of a normal column, and what it has to pass."""

    sd: float
    binds: Binds


def of_page_hinkley(baseline: Baseline, shares: budget.Shares) -> Outlook:
    """Return the outlook of Page-Hinkley on normal scores."""
    pace, watched = rows_per_week(baseline), baseline.sequential
    threshold = budget.page_hinkley_threshold(shares.page_hinkley, pace * max(len(watched), 1), VERDICT_DELTA)
    return Outlook(
        false_per_week=sum(
            pace * false_means(threshold, _gate_of(baseline, one)) for one in watched if not one.page_hinkley
        ),
        is_bound=True,
        series=[
            _series(
                baseline,
                one,
                "page_hinkley",
                one.page_hinkley,
                lambda events, gate: mean_found(threshold, events, gate),
            )
            for one in watched
        ],
    )


def of_adwin(baseline: Baseline, shares: budget.Shares) -> Outlook:
    """Return the outlook of ADWIN on ranks."""
    pace, watched = rows_per_week(baseline), baseline.sequential
    delta = budget.adwin_delta(shares.adwin, pace * max(len(watched), 1))
    each = shares.adwin / max(len(watched), 1)
    return Outlook(
        false_per_week=sum(
            min(each, pace * _over_gate(RANK_GATE / RANK_SD * _gate_of(baseline, one)))
            for one in watched
            if not one.adwin
        ),
        is_bound=True,
        series=[
            _series(baseline, one, "adwin", one.adwin, lambda events, gate: rank_found(delta, events, gate))
            for one in watched
        ],
    )


def false_means(threshold: float, gate: float = 1.0) -> float:
    """Return at most how many detections an event brings to Page-Hinkley without a change.

    Those of the test without its gate, or the onsets from which the sum is over the threshold, or over the gate, once
    there are enough events: whichever is fewest. gate: times the usual one.
    """
    over_threshold = 2 * power.chance_over_line(threshold, VERDICT_DELTA, MIN_EVENTS)
    ungated = 1 / budget.cusum_run_length(threshold, VERDICT_DELTA)
    return min(ungated, over_threshold, _over_gate(NORMAL_SCORE_GATE * gate))


def mean_found(threshold: float, events: float, gate: float = 1.0) -> Shift:
    """Return the shift that adds up to Page-Hinkley's threshold within `events`, or its gate where that is more.

    gate: times the usual one.
    """
    least = NORMAL_SCORE_GATE * gate
    needed = VERDICT_DELTA + threshold / events
    return Shift(max(needed, least), Binds.GATE if needed <= least else Binds.BUDGET)


def rank_found(delta: float, events: float, gate: float = 1.0) -> Shift:
    """Return the shift that ADWIN cuts at after `events` of it, from the window it starts with, or its gate.

    gate: times the usual one.
    """
    least = RANK_GATE * gate
    weight = (1 / WARM_ROWS + 1 / events) * math.log(2 * math.log(WARM_ROWS + events) / delta)
    needed = math.sqrt(2 * weight) * RANK_SD + 2 / 3 * weight
    rank = min(max(needed, least), 0.5)
    return Shift(math.sqrt(2) * float(ndtri(0.5 + rank)), Binds.GATE if needed <= least else Binds.BUDGET)


def too_few(events: float) -> str:
    """Return why a week of so many events shows nothing; empty where it does."""
    return f"a week brings {events:.0f} events, {MIN_EVENTS} are needed" if events < MIN_EVENTS else ""


def _gate_of(baseline: Baseline, watched: Sequential) -> float:
    return baseline.columns[watched.column].shift_gate


def _over_gate(effect: float) -> float:
    """Return at most how many events are an onset from which the mean exceeds the gate, up or down."""
    return 2 * power.chance_over_line(0.0, effect, MIN_EVENTS)


def _series(
    baseline: Baseline, watched: Sequential, detector: str, why_not: str, found: Callable[[float, float], Shift]
) -> Series:
    column, why_not = baseline.columns[watched.column], why_not or calibrates(baseline.untested[watched.column])
    counts = column.counts[0]
    events = rows_per_week(baseline) * float(counts.sum()) / max(baseline.rows, 1)
    why_blind = "" if why_not else too_few(events)
    shift = None if why_not or why_blind else found(events, column.shift_gate)
    if shift is not None and not math.isfinite(shift.sd):
        shift, why_blind = None, f"a week brings {events:.0f} events, too few for any shift"
    sight = None
    if shift is not None:
        psi = power.psi_of_shift(counts / counts.sum(), np.array(shift.sd))
        sight = Sight(psi=float(psi), sd=shift.sd)
    return Series(
        name=column.name,
        segment=ALL,
        kind=column.kind,
        detector=detector,
        why_not=why_not,
        binds=None if shift is None else shift.binds,
        sight=sight,
        why_blind=why_blind,
    )
