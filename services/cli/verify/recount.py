"""The numbers of an alert, computed again from its own record and the baseline that it names; no log is needed.

What an incident says of windows are counts, from which every number follows. What it says of sequential detectors is
the end of a long sum: some of it follows, and the rest needs the fold of the log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from services.cli.verify.number import FOLD, Number
from services.cli.verify.recount_closed import recount_calibration
from services.cli.verify.recount_loss import recount_loss
from services.detector import budget
from services.detector.banks.rare_levels import MIN_RATIO
from services.detector.baseline import GATE_PSI, Arming, Baseline, Column
from services.detector.day_windows import OWN_PEAK
from services.detector.fairness.metrics import of_rates
from services.detector.outlook.windows import windows_per_week
from services.detector.performance.accuracy_drop import WIDTH, AccuracyRule
from services.detector.performance.closed.reference import CALIBRATION
from services.detector.quality.reference import Statistic, gate_of
from services.detector.quality.vanished import least_share
from services.detector.rules.binding import bind
from services.detector.sequential import NORMAL_SCORE_GATE, RANK_GATE
from services.detector.statistics import distances
from services.detector.statistics.proportions import standard_error
from services.detector.statistics.verdict import judge
from services.detector.structs import IntArray
from shared.definition import Definition
from shared.degradation import accuracy_drop
from shared.events.alert import Culprit, Incident, IncidentEvent
from shared.fairness import METRICS as FAIRNESS

CLOSE_CHANCE = 1e-5  # of what is published with six digits
LEARNED = "the reference of a segment that was learned: the fold of the log"
CONFIGURATION = "the configuration that the incident names"

_UNCALIBRATED = 1.0
_OF_COUNTS: dict[str, Callable[[IntArray, IntArray], float]] = {
    "psi": distances.psi,
    "psi_floor": distances.psi_floor,
    "js_distance_base2": distances.js_distance_base2,
    "chi2_stat": distances.chi2_stat,
    "chi2_pvalue": distances.chi2_pvalue,
    "cramers_v": distances.cramers_v,
    "linf": distances.linf,
    "hellinger": distances.hellinger,
}


def recount(
    event: IncidentEvent, incident: Incident, definition: Definition | None, baseline: Baseline
) -> list[Number]:
    """Return every number of an incident event.

    definition: the one that the incident names; None where it is not published any longer.
    """
    found: list[Number] = []
    for culprit in (*incident.culprits, *incident.inside_segments):
        found += _Recount(culprit, definition, baseline).numbers()
    for parts in incident.loss_parts:
        found += recount_loss(parts, baseline)
    return [*found, *_of_incident(event, incident, baseline)]


def _of_incident(event: IncidentEvent, incident: Incident, baseline: Baseline) -> Iterator[Number]:
    said, detectors = incident.chance_per_week, {culprit.detector for culprit in incident.culprits}
    chances = [culprit.p_value for culprit in incident.culprits if culprit.p_value is not None]
    if all(name == "rule" or name.startswith("advisory:") for name in detectors):
        yield Number.compared("", "chance_per_week", said, _UNCALIBRATED)
        return
    if (
        event is IncidentEvent.OPENED
        and detectors <= {"psi", "psi_trailing"}
        and len(chances) == len(incident.culprits)
    ):
        chance = min(chances) * windows_per_week(baseline)
        yield Number.compared("", "chance_per_week", said, chance, CLOSE_CHANCE)
    elif event is IncidentEvent.OPENED and detectors == {"e_detector"}:
        evidence = max(culprit.value for culprit in incident.culprits)
        chance = budget.e_detector_chance(evidence, _updates(baseline))
        yield Number.compared("", "chance_per_week", said, chance, CLOSE_CHANCE)
    else:
        yield Number.unknown("", "chance_per_week", said)


def _updates(baseline: Baseline) -> float:
    """Return how many events a week all e-detectors look at."""
    pace = baseline.rows_per_week or float(baseline.rows)
    return pace * max(sum(not found.e_detector for found in baseline.coded), 1)


class _Recount:
    """One culprit."""

    def __init__(self, culprit: Culprit, definition: Definition | None, baseline: Baseline) -> None:
        self._culprit, self._definition, self._baseline = culprit, definition, baseline
        self._named = f"{culprit.feature} in {culprit.segment}, {culprit.detector}"
        self._place = next((n for n, c in enumerate(baseline.columns) if c.name == culprit.feature), None)
        self._cell = baseline.cells.index(culprit.segment) if culprit.segment in baseline.cells else None

    def numbers(self) -> Iterator[Number]:
        """Yield what can be said."""
        column = None if self._place is None else self._baseline.columns[self._place]
        match self._culprit.detector:
            case "rule" if self._culprit.statistic in FAIRNESS:
                bins = [(part.name, part.count / part.reference_count) for part in self._culprit.bins]
                yield self._value(of_rates(self._culprit.statistic, bins))
            case "psi" | "psi_days" | "psi_trailing" | "rule" if self._culprit.bins and column is not None:
                yield from self._of_window(column)
            case "rare_levels" if self._culprit.bins and column is not None:
                yield from self._of_levels(column)
            case "page_hinkley" if column is not None:
                yield self._value(None)
                yield self._noise(1.0 / math.sqrt(self._culprit.window_rows))
                yield self._threshold(NORMAL_SCORE_GATE * column.shift_gate)
            case "adwin" if column is not None:
                yield self._value(None)
                yield self._noise(math.sqrt(1 / 12 / self._culprit.window_rows))
                yield self._threshold(RANK_GATE * column.shift_gate)
            case "e_detector" if self._definition is not None:
                shares = budget.shares(self._definition.spec.alerts.false_pages_per_month)
                yield self._value(None)
                yield self._threshold(budget.e_detector_threshold(shares.e_detector, _updates(self._baseline)))
            case "quality":
                yield from self._of_quality(column)
            case "segment_shares" | "label_shares":
                yield from self._of_mix()
            case "lr_cusum":
                yield from self._of_errors()
            case "cohort_cusum":
                yield from self._of_closed_cohorts()
            case "accuracy_drop":
                yield from self._of_accuracy()
            case _:
                yield self._value(None)
                yield self._threshold(None)

    def _of_window(self, column: Column) -> Iterator[Number]:
        culprit, cell = self._culprit, self._cell
        if cell is None or self._place is None:
            yield self._value(None, LEARNED)
            return
        counts, reference = (
            np.array([getattr(part, name) for part in culprit.bins], np.int64) for name in ("count", "reference_count")
        )
        if [part.name for part in culprit.bins] != column.bin_names():
            yield self._number("bins", len(culprit.bins), column.bins)
            return
        if culprit.detector == "psi_trailing":
            yield Number.unknown(self._named, "reference events, of recent days", float(reference.sum()))
        else:
            reference = column.counts[cell]
        yield from self._parts(counts, reference)
        if not counts.sum() or not reference.sum():
            return
        arming = self._arming()
        verdict = judge(counts, reference, ordered=column.is_numeric, phi=float(arming.phi[self._place, cell]))
        if culprit.statistic == "psi_debiased":
            yield self._value(verdict.psi_debiased)
        else:
            of_counts = _OF_COUNTS.get(culprit.statistic)
            yield self._value(None if of_counts is None else of_counts(counts, reference))
        yield self._noise(verdict.noise_floor)
        if culprit.detector == "rule":
            yield self._rule_threshold()
            return
        yield Number.compared(self._named, "p_value", culprit.p_value, verdict.p_value, CLOSE_CHANCE)
        yield self._threshold(self._day_gate(column, arming) if culprit.detector == "psi_days" else column.gate)

    def _of_mix(self) -> Iterator[Number]:
        culprit = self._culprit
        named = [(m.name, m.detector) for m in self._baseline.mixes]
        mix = self._baseline.mixes[named.index((culprit.feature, culprit.detector))]
        counts = np.array([part.count for part in culprit.bins], np.int64)
        yield from self._parts(counts, mix.counts)
        verdict = judge(counts, mix.counts, ordered=mix.is_ordered, phi=mix.phi)
        yield self._value(verdict.psi_debiased)
        yield self._noise(verdict.noise_floor)
        yield Number.compared(self._named, "p_value", culprit.p_value, verdict.p_value, CLOSE_CHANCE)
        yield self._threshold(GATE_PSI)

    def _parts(self, counts: IntArray, reference: IntArray) -> Iterator[Number]:
        """Yield sums over the bins; the bins themselves only where they differ."""
        bins, events = self._culprit.bins, int(counts.sum())
        shares = distances.psi_contributions(counts, reference) if events and reference.sum() else counts * 0.0
        yield self._number("reference events", sum(b.reference_count for b in bins), int(reference.sum()))
        yield self._number("events, at most the window's rows", events, min(events, self._culprit.window_rows))
        yield self._number("psi of all bins", math.fsum(b.contribution for b in bins), math.fsum(shares.tolist()))
        for part, before, share in zip(bins, reference.tolist(), shares.tolist(), strict=True):
            for number in (
                self._number(f"reference count of {part.name}", part.reference_count, before),
                self._number(f"contribution of {part.name}", part.contribution, share),
            ):
                if number.differs:
                    yield number

    def _arming(self) -> Arming:
        if self._culprit.detector == "psi_trailing" and self._baseline.trailing is not None:
            return self._baseline.trailing.arming
        return self._baseline.days if self._culprit.detector == "psi_days" else self._baseline.arming

    def _day_gate(self, column: Column, days: Arming) -> float:
        is_unsteady = bool(days.unsteady[self._place, self._cell])
        return OWN_PEAK * float(days.peak[self._place, self._cell]) if is_unsteady else column.day_gate

    def _rule_threshold(self) -> Number:
        culprit, definition = self._culprit, self._definition
        if definition is None:
            return self._threshold(None, CONFIGURATION)
        limits = [
            bound.limits[culprit.feature]
            for bound in bind(definition.model, definition.spec, self._baseline)
            if bound.segment == culprit.segment
            and bound.rule.condition.statistic == culprit.statistic
            and culprit.feature in bound.limits
        ]
        return self._threshold(
            min(limits, key=lambda limit: abs(limit - culprit.threshold), default=None), CONFIGURATION
        )

    def _of_levels(self, column: Column) -> Iterator[Number]:
        culprit, (level, *_) = self._culprit, self._culprit.bins
        counts, events = column.counts[0], culprit.window_rows
        before = int(counts[column.levels.index(level.name)]) if level.name in column.levels else level.reference_count
        usual = before / int(counts.sum())
        yield self._number("reference events", level.reference_count, before)
        yield self._value(level.count / events)
        yield self._noise(standard_error(level.count, events))
        yield self._threshold(usual * (MIN_RATIO if culprit.value > usual else 1 / MIN_RATIO))

    def _of_quality(self, column: Column | None) -> Iterator[Number]:
        """Yield what is said of a share of rows: it is one of whole rows, with the gate that the baseline gives it."""
        culprit, cell, quality = self._culprit, self._cell, self._baseline.quality
        if cell is None:
            yield self._value(None, LEARNED)
            return
        if culprit.statistic == Statistic.VANISHED and column is not None:
            (part,) = culprit.bins
            counts = column.counts[cell]
            count, rows, threshold = int(counts[column.levels.index(part.name)]), int(counts.sum()), least_share(cell)
            yield self._number("reference events", part.reference_count, count)
        else:
            named = [(check.feature, check.statistic) for check in quality.checks]
            at = named.index((culprit.feature, Statistic(culprit.statistic)))
            count, rows = round(culprit.value * culprit.window_rows), culprit.window_rows
            threshold = gate_of(float(quality.p0[at, cell]))
        yield self._value(count / rows)
        yield self._noise(standard_error(count, rows))
        yield self._threshold(threshold)

    def _of_errors(self) -> Iterator[Number]:
        culprit, performance = self._culprit, self._baseline.performance
        monitors = [] if performance is None else [m for m in performance.monitors if m.name == culprit.feature]
        yield self._value(None)
        for monitor in monitors:
            yield self._noise(math.sqrt(monitor.rate * (1 - monitor.rate) / max(culprit.window_rows, 1)))
            yield self._threshold(monitor.p0)

    def _of_closed_cohorts(self) -> Iterator[Number]:
        culprit, performance = self._culprit, self._baseline.performance
        closed = None if performance is None else performance.closed
        if closed is None:
            yield self._value(None)
            yield self._threshold(None)
        elif culprit.feature == CALIBRATION:
            yield from recount_calibration(self._named, culprit, closed)
        else:
            yield self._value(None)
            yield self._maybe("noise_floor", culprit.noise_floor, None, FOLD)
            yield self._threshold(closed.threshold(culprit.feature, -1.0))

    def _of_accuracy(self) -> Iterator[Number]:
        performance = self._baseline.performance
        yield self._value(None)
        drop = None if self._definition is None else accuracy_drop(self._definition.spec)
        if performance is None or drop is None:
            yield self._threshold(None, CONFIGURATION)
            return
        rule = AccuracyRule(drop, performance.accuracy, performance.rows)
        yield self._noise(math.sqrt(performance.accuracy * (1.0 - performance.accuracy) / WIDTH))
        yield self._threshold(rule.threshold)

    def _value(self, recomputed: float | None, needs: str = FOLD) -> Number:
        return self._maybe(f"value ({self._culprit.statistic})", self._culprit.value, recomputed, needs)

    def _noise(self, recomputed: float) -> Number:
        return self._number("noise_floor", self._culprit.noise_floor, recomputed)

    def _threshold(self, recomputed: float | None, needs: str = FOLD) -> Number:
        return self._maybe("threshold", self._culprit.threshold, recomputed, needs)

    def _maybe(self, name: str, said: float, recomputed: float | None, needs: str) -> Number:
        if recomputed is None:
            return Number.unknown(self._named, name, said, needs)
        return self._number(name, said, recomputed)

    def _number(self, name: str, said: float, recomputed: float) -> Number:
        return Number.compared(self._named, name, said, recomputed)
