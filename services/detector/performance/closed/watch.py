"""Closed cohorts of all traffic, one after another: do scores still rank, and mean, what they did in the reference.

Both are asked of cohorts whose labels have come, for which labels come first is no random choice. A cohort of which
fewer than half of the usual labels have come is left out, and so is one that an incident which is over has told of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from services.detector.baseline import Baseline
from services.detector.incidents.culprits import since_onset
from services.detector.incidents.incident import OpenIncident
from services.detector.performance.closed.cusum import Side, WayBack
from services.detector.performance.closed.pool import Pool, Reading, calibration, grouped, readings
from services.detector.performance.closed.reference import CALIBRATION, SIDES, ClosedReference
from services.detector.performance.closed.threshold import chance, threshold
from services.detector.performance.cohorts import Cohorts
from services.detector.performance.label_delays import LEAST_SHARE
from services.detector.structs import IntArray
from shared.events.alert import Bin, Culprit

COHORT_CUSUM = "cohort_cusum"
MEMORY = 100  # cohorts whose coverage is usual
MAX_TOLD = 64  # incidents that are over, whose cohorts are still to close


class ClosedCohort(NamedTuple):
    """A cohort of all traffic whose labels have come."""

    row: int  # of the served block, at which it was closed
    first_row: int  # of the model's served rows; both included
    last_row: int
    predicted: int
    counts: IntArray  # [bins of scores, 2]: negatives, positives
    labelled: int  # with a score or without


@dataclass(frozen=True, slots=True)
class Fall:
    """A monitor fired."""

    monitor: str
    value: float  # since the onset
    noise_floor: float
    threshold: float
    chance_per_week: float
    labels: int
    onset_row: int
    last_row: int
    bins: list[Bin]

    def culprit(self) -> Culprit:
        """Return it as an incident names it."""
        return since_onset(
            self.monitor,
            COHORT_CUSUM,
            self.monitor,
            value=self.value,
            noise_floor=self.noise_floor,
            threshold=self.threshold,
            rows=self.labels,
            onset=self.onset_row,
            row=self.last_row,
            bins=self.bins,
        )


@dataclass(frozen=True, slots=True)
class Recovered:
    """A monitor that had fired is as the reference again."""

    monitor: str


class Told(msgspec.Struct):
    """Served rows that an incident has told of, which is over; both included."""

    first_row: int
    last_row: int


class ClosedState(msgspec.Struct):
    """The state of the monitors of closed cohorts."""

    next: int = 0  # the first cohort that is not closed, by number
    pool: Pool = msgspec.field(default_factory=Pool)
    sides: dict[str, list[Side]] = {}
    back: dict[str, WayBack] = {}
    usual: float = 0.0  # share of predictions with a label in closed cohorts
    cohorts: int = 0  # that it is the mean of, at most `MEMORY`
    last: float = 1.0  # the newest one's, as a share of the usual
    told: list[Told] = []


class ClosedWatch:
    """The monitors of closed cohorts of one model version."""

    def __init__(self, baseline: Baseline, reference: ClosedReference, share: float) -> None:
        self._baseline, self._reference = baseline, reference
        self._threshold = threshold(baseline, reference, share)
        groups = len(reference.group_labels)
        self.state = ClosedState(sides={name: [Side.of(groups) for _ in sides] for name, sides in SIDES.items()})

    @property
    def why_not(self) -> dict[str, str]:
        """Return why monitors do not page; an empty text where they do."""
        state, reasons = self.state, self._reference.reasons
        if state.last >= LEAST_SHARE:
            return dict(reasons)
        why = f"only {state.last:.0%} of the usual labels came of the newest closed cohort"
        return {name: reason or why for name, reason in reasons.items()}

    def closing(self, cohorts: Cohorts, times: IntArray, now_ms: int, horizon_ms: int) -> list[ClosedCohort]:
        """Return the cohorts of all traffic that are closed by a time, in order, and were not before.

        times: stream time after each row of the newest served block.
        """
        book, age_ms = cohorts.state.cells[0], horizon_ms
        if self._reference.closed_ms is not None:
            age_ms = min(self._reference.closed_ms, horizon_ms)
        found: list[ClosedCohort] = []
        self.state.next = max(self.state.next, book.dropped)
        full = len(book.predicted) - (book.rows % book.size > 0)
        while (at := self.state.next - book.dropped) < full and book.last_ms[at] + age_ms < now_ms:
            self.state.next += 1
            counts = cohorts.scores_of(book, at)
            if counts is None:  # too many newer ones were open
                continue
            row = int(np.searchsorted(times, book.last_ms[at] + age_ms, side="right"))
            labelled = int(book.counts[at].sum())
            place = ClosedCohort(min(row, len(times) - 1), *book.span(at), book.predicted[at], counts, labelled)
            found.append(place)
        return found

    def take(self, cohort: ClosedCohort) -> list[Fall | Recovered]:
        """Take the next closed cohort; return which monitors fired, and which are back."""
        if not self._is_sample(cohort):
            self.state.pool = Pool()
            return []
        pool = self.state.pool
        pool.add(cohort.counts, cohort.first_row, cohort.last_row)
        if not pool.is_full:
            return []
        self.state.pool = Pool()
        groups = grouped(pool.counts, self._reference.group_ends)
        found: list[Fall | Recovered] = []
        for monitor, reading in readings(pool.counts, self._reference).items():
            if self._reference.reasons[monitor]:
                continue
            way = self.state.back.get(monitor)
            if way is not None and way.is_back(reading, self._reference.scatter[monitor], pool.first_row):
                self.forget(monitor)
                found.append(Recovered(monitor))
                continue
            found += self._fired(monitor, reading, groups, pool)
        return found

    def _is_sample(self, cohort: ClosedCohort) -> bool:
        state = self.state
        state.told = [told for told in state.told if told.last_row >= cohort.first_row]
        coverage = cohort.labelled / cohort.predicted
        state.last = coverage / state.usual if state.usual else 1.0
        state.cohorts = min(state.cohorts + 1, MEMORY)
        state.usual += (coverage - state.usual) / state.cohorts
        is_told = any(told.first_row <= cohort.last_row for told in state.told)
        return not is_told and state.last >= LEAST_SHARE

    def _fired(self, monitor: str, reading: Reading, groups: IntArray, pool: Pool) -> list[Fall]:
        found, reference = [], self._reference
        usual, gate = reference.usual(monitor), reference.gate(monitor)
        for sign, side in zip(SIDES[monitor], self.state.sides[monitor], strict=True):
            off = sign * (reading.value - usual)
            side.add(off, reading, reference.scatter[monitor], groups, pool.first_row)
            if side.statistic < self._threshold or sign * (side.mean - usual) < gate:
                continue
            value, noise, bins = side.mean, side.error, []
            if monitor == CALIBRATION:
                again = calibration(side.groups, reference)
                value, noise, bins = again.value, again.error, calibration_bins(side.groups, reference)
            found.append(
                Fall(
                    monitor=monitor,
                    value=value,
                    noise_floor=noise,
                    threshold=reference.threshold(monitor, sign),
                    chance_per_week=chance(self._baseline, reference, side.statistic),
                    labels=int(side.groups.sum()),
                    onset_row=side.first_row,
                    last_row=pool.last_row,
                    bins=bins,
                )
            )
            self.state.back[monitor] = WayBack(side.mean, usual, pool.last_row)
            side.clear()
        return found

    def forget(self, monitor: str) -> None:
        """Stop to wait for a monitor's recovery."""
        self.state.back.pop(monitor, None)

    def end(self, incident: OpenIncident, newest_row: int, *, is_undone: bool) -> None:
        """Take that an incident is over: what it has told of is not told again when its cohorts close.

        newest_row: of the predictions with labels, which is how far an incident of labels reaches. is_undone: there
        was no loss.
        """
        self.state.back.clear()
        if is_undone:
            return
        of_cohorts = [culprit.window_end_row for culprit in incident.culprits.values()]
        is_of_labels = any(culprit.detector != COHORT_CUSUM for culprit in incident.culprits.values())
        last_row = newest_row if is_of_labels else max(of_cohorts)
        self.state.told = [*self.state.told, Told(incident.onset.row, last_row)][-MAX_TOLD:]


def calibration_bins(groups: IntArray, reference: ClosedReference) -> list[Bin]:
    """Return the labels since an onset by groups of scores; contributions add up to what calibration is off."""
    of_reference = zip(reference.group_positives, reference.group_labels, strict=True)
    total, rows = int(groups.sum()), zip(reference.group_names, groups.tolist(), of_reference, strict=True)
    return [
        Bin(
            name=name,
            count=negatives + positives,
            reference_count=labels,
            contribution=(positives - (negatives + positives) * (usual + 0.5) / (labels + 1.0)) / total,
        )
        for name, (negatives, positives), (usual, labels) in rows
    ]
