"""From labels to the performance incident of a model version: who fired, since when, on what evidence, who is back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from operator import itemgetter

import msgspec
import numpy as np

from services.detector import budget
from services.detector.baseline import Baseline
from services.detector.causes.watch import CauseState, CauseWatch
from services.detector.figures import Told
from services.detector.incidents.culprits import since_onset
from services.detector.incidents.drift import Change
from services.detector.incidents.incident import OpenIncident, Subject, incident_id
from services.detector.incidents.performance import PerformanceIncidents
from services.detector.labelled_block import LabelledBlock, integers, label_place
from services.detector.performance.closed.watch import (
    COHORT_CUSUM,
    ClosedCohort,
    ClosedState,
    ClosedWatch,
    Recovered,
)
from services.detector.performance.costs import Prices
from services.detector.performance.evidence import Evidence, Hypothesis
from services.detector.performance.label_ages import odds_ratio, tilted
from services.detector.performance.monitors import (
    ACCURACY,
    LR_CUSUM,
    Heard,
    Loss,
    Monitors,
    MonitorState,
    hear,
    statistic_of,
)
from services.detector.performance.reanchor import ADWIN, Cut
from services.detector.performance.recent_labels import REACH, RecentLabels
from services.detector.performance_build import RESIDUAL
from services.detector.report import CohortRow
from services.detector.rules.watch import Moment
from services.detector.signals.columns import translated
from services.detector.signals.labelled import LabelledSignals
from services.detector.signals.monitored import ERROR
from services.detector.structs import FloatArray, IntArray
from shared.degradation import accuracy_drop
from shared.events.alert import Culprit, Place
from shared.events.block import SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, TS
from shared.monitors import ModelSpec

ChangedAt = tuple[int, Change, OpenIncident]  # row of a block of labels, and what changed there
Covered = Callable[[int, int], bool]
"""Tells at a row of a block of labels whether as many as usual have come of the predictions from a row on."""

_CLOSING = (Change.RESOLVED, Change.RETRACTED)


class AlarmState(msgspec.Struct):
    """The state of the alarms."""

    incidents: PerformanceIncidents
    recent: RecentLabels
    evidence: dict[str, Evidence]
    causes: CauseState
    monitors: MonitorState | None
    closed: ClosedState | None


class LossAlarms:
    """The monitors of one model version, the labels that they heard last, and their incident."""

    def __init__(self, baseline: Baseline, spec: ModelSpec, told: Told) -> None:
        self._ages = baseline.label_ages
        self._series = _series(baseline)
        self._monitors = _monitors(baseline, spec)
        self._told = told
        self.incidents = PerformanceIncidents()
        self.recent = RecentLabels.of(len(self._series))
        self._evidence: dict[str, Evidence] = {}  # of the monitors that fired
        self._causes = CauseWatch(baseline)
        self._prices = Prices.of(spec.cost, baseline)
        self.cohorts = _cohorts(baseline, spec)

    def fold(
        self,
        block: LabelledBlock,
        labelled: LabelledSignals,
        subject: Subject,
        is_covered: Covered,
    ) -> Iterator[ChangedAt]:
        """Take one block of labels; return the changes of the incident as they are asked for, in row order.

        A loss that is not covered is not told: labels that come while most do not are no sample of anything.
        """
        heard = hear(self._ages, labelled.flags, labelled.residual_scores, self._buckets(block.ages_ms))
        self.recent.append(
            _values(heard),
            heard.ages,
            block.served,
            integers(block.batch, TS),
            translated(block.batch.column(SRC_TOPIC), self.recent.topic_code, missing=0),
            integers(block.batch, SRC_PARTITION),
            integers(block.batch, SRC_OFFSET),
        )
        self._causes.append(self.recent.labels - len(block.served), labelled)
        return self._changes(block, heard, subject, is_covered)

    def place_of(self, label: int, series: str, events: int) -> Place:
        """Return where the last `events` values of a series begin; see `RecentLabels.place_of`."""
        return self.recent.place_of(label, self._series.index(series), events)

    def _changes(
        self, block: LabelledBlock, heard: Heard, subject: Subject, is_covered: Covered
    ) -> Iterator[ChangedAt]:
        if self._monitors is None:
            return
        rows, start = len(block.served), 0
        found: list[Loss | Cut] = [*self._monitors.update(heard), *self._monitors.again(heard)]
        for fired in sorted(found, key=lambda one: one.row):  # stable: a loss comes before a second change
            yield from self._later(block, heard, start, fired.row + 1)
            start = fired.row + 1
            label = self.recent.labels - rows + fired.row
            if isinstance(fired, Cut):
                row = int(block.served[fired.row])
                yield from self._told_of(fired.row, self._again(self._monitors, fired, label, row, is_covered), label)
                continue
            self._told.detections[fired.detector] += 1
            loss = self._at_its_ages(fired, label)
            hypothesis = self._hypothesis(loss)
            onset = self.recent.onset(label, hypothesis)
            if not is_covered(fired.row, onset.row):
                continue
            row = max(int(block.served[loss.row]), onset.row)
            if self.incidents.open is None:
                self._causes.begin(onset.row, label, self.recent)
            change = self.incidents.detect(
                incident_id(subject, "performance", block.chain.shard, block.chain.seq, loss.row),
                _culprit(loss, onset.row, row),
                onset,
                label_place(block.batch, loss.row, row),
                loss.chance_per_week,
                self._causes.cause(),
            )
            first = self.recent.first_of(label, hypothesis.series, loss.labels)
            self._rest_on(loss.monitor, Evidence(hypothesis, first, label, onset.row, row))
            self._monitors.watch_recovery(loss, row)
            if change is not None and self.incidents.open is not None:
                self._price(self.incidents.open, label)
                yield loss.row, change, self.incidents.open
        yield from self._later(block, heard, start, rows)

    def _again(self, monitors: Monitors, cut: Cut, label: int, row: int, is_covered: Covered) -> Change | None:
        """Take that errors became more; tells where an incident is open, and they are more than is allowed."""
        if self.incidents.open is None:
            return None
        monitor = self._series[cut.place]
        before, after = self.recent.means(label, cut.place, cut.labels)
        allowed = self.recent.expected(label, cut.place, cut.labels, monitors.rates(monitor))
        if not after > max(before, allowed):
            return None
        buckets = 1 if self._ages is None else len(self._ages.p0)
        onset = self.recent.onset(label, Hypothesis(cut.place, [before] * buckets, [after] * buckets))
        if not is_covered(cut.row, onset.row):
            return None
        noise = math.sqrt(before * (1.0 - before) / cut.labels)
        loss = Loss(cut.row, monitor, ADWIN, statistic_of(monitor), after, before, noise, allowed, cut.labels, 0.0)
        change = self.incidents.change_again(_culprit(loss, onset.row, max(row, onset.row)), onset)
        if change is not None:
            self._told.detections[ADWIN] += 1
            monitors.anew(loss, row)
            self._causes.begin(onset.row, label, self.recent)
            self.incidents.explain(self._causes.cause())
        return change

    def _later(self, block: LabelledBlock, heard: Heard, start: int, stop: int) -> Iterator[ChangedAt]:
        """Take rows after a loss: what they say of its predictions, and whether monitors are back."""
        if self._monitors is None or self.incidents.open is None or start >= stop:
            return
        happened: list[tuple[int, Callable[[], Change | None]]] = [
            (back.row, partial(self.incidents.recover, back.monitor))
            for back in self._monitors.recovered(heard.between(start, stop))
        ]
        rows, values = block.served[start:stop], _values(heard)[start:stop]
        labels = self.recent.labels - len(block.served) + np.arange(start, stop)
        happened += [
            (row, partial(self.incidents.explain, cause))
            for row, cause in self._causes.later(labels, heard.flags[start:stop, 0], rows)
        ]
        for monitor, evidence in self._evidence.items():
            of_loss = np.flatnonzero(evidence.holds(labels, rows))
            hypothesis = evidence.hypothesis
            gains = hypothesis.gains(values[of_loss, hypothesis.series], heard.ages[start:stop][of_loss])
            totals = np.cumsum(np.concatenate([[evidence.total], gains]))  # one by one: no cut of blocks shows
            evidence.total = float(totals[-1])
            undone = np.flatnonzero(totals[1:] < evidence.undone_below)
            if len(undone):
                happened.append((int(of_loss[undone[0]]), partial(self._withdraw, monitor)))
        for row, take in sorted(happened, key=itemgetter(0)):
            yield from self._told_of(start + row, take(), int(labels[row]))

    def well(self, row: CohortRow) -> Iterator[tuple[Change, OpenIncident]]:
        """Take a final cohort of all traffic; return the changes of the incident as they are asked for."""
        for monitor in [] if self._monitors is None else self._monitors.well(row):
            for _, change, incident in self._told_of(0, self.incidents.recover(monitor), self.recent.labels - 1):
                yield change, incident

    def closed(self, cohort: ClosedCohort, moment: Moment) -> Iterator[tuple[Change, OpenIncident]]:
        """Take a closed cohort of all traffic; return the changes of the incident as they are asked for."""
        for found in [] if self.cohorts is None else self.cohorts.take(cohort):
            label = self.recent.labels - 1
            if isinstance(found, Recovered):
                change = self.incidents.recover(found.monitor)
            else:
                self._told.detections[COHORT_CUSUM] += 1
                onset = moment.place(found.onset_row)
                if self.incidents.open is None:
                    self._causes.begin(onset.row, label, self.recent)
                change = self.incidents.detect(
                    moment.incident_id("performance"),
                    found.culprit(),
                    onset,
                    moment.place(moment.row),
                    found.chance_per_week,
                    self._causes.cause(),
                )
            for _, told, incident in self._told_of(0, change, label):
                yield told, incident

    def correct(self, block: LabelledBlock, before: LabelledSignals, after: LabelledSignals) -> Iterator[ChangedAt]:
        """Replace labels: errors that were none are taken back, what an open incident rested on is weighed again."""
        if self._monitors is None:
            return
        found = self.recent.find(block.served)
        ages = np.where(found >= 0, self.recent.age[found], self._buckets(block.ages_ms))
        old, new = (
            _values(hear(self._ages, labelled.flags, labelled.residual_scores, ages)) for labelled in (before, after)
        )
        labels = self.recent.numbers(found)
        self._causes.correct(after, block.served, before.flags[:, 0], after.flags[:, 0])
        for row, at in enumerate(found.tolist()):
            if at >= 0:
                self._take_back(self._monitors, at, old[row], new[row])
            for monitor, evidence in list(self._evidence.items()):
                if evidence.holds(labels[row : row + 1], block.served[row : row + 1])[0]:
                    pair = np.array([old[row], new[row]])[:, evidence.hypothesis.series]
                    minus, plus = evidence.hypothesis.gains(pair, ages[[row, row]]).tolist()
                    evidence.total += plus - minus
                    if evidence.is_undone:
                        yield from self._told_of(row, self._withdraw(monitor), self.recent.labels - 1)

    def _take_back(self, monitors: Monitors, at: int, old: FloatArray, new: FloatArray) -> None:
        self.recent.values[at] = new
        for place in np.flatnonzero((old[:-1] > 0.0) & ~(new[:-1] >= old[:-1])).tolist():
            later, age = self.recent.later(at, place), int(self.recent.age[at])
            monitors.take_back(place, later, age, float(old[place]), float(new[place]))

    def _withdraw(self, monitor: str) -> Change | None:
        if self._monitors is not None and self._evidence.pop(monitor, None) is not None:
            self._monitors.forget_recovery(monitor)
            return self.incidents.withdraw(monitor)
        return None

    def _price(self, incident: OpenIncident, label: int) -> None:
        """Tell what an incident costs by the labels up to a label."""
        if self._prices is not None:
            incident.cost = self._prices.since(self.recent, label, self._series, incident.onset.row)

    def _told_of(self, row: int, change: Change | None, label: int) -> Iterator[ChangedAt]:
        incident = self.incidents.open
        if change is None or incident is None:
            return
        self._price(incident, label)
        yield row, change, incident
        if change in _CLOSING and self._monitors is not None:
            if self.cohorts is not None:
                newest = int(self.recent.row.max())
                self.cohorts.end(incident, newest, is_undone=change is Change.RETRACTED)
            self.incidents.close()
            self._causes.end()
            self._monitors.forget_recoveries()
            self._evidence.clear()

    def _rest_on(self, monitor: str, found: Evidence) -> None:
        """Note what a loss rests on; where its monitor fires again it is more, as long as all labels of it are kept."""
        known = self._evidence.setdefault(monitor, found)
        if found.last_label - known.first_label < REACH:
            known.last_label, known.last_row = found.last_label, max(known.last_row, found.last_row)
            known.rest_on(self.recent.weigh(found.last_label, known))

    def _buckets(self, ages_ms: IntArray) -> IntArray:
        return np.zeros(len(ages_ms), np.int64) if self._ages is None else self._ages.place(ages_ms)

    def _at_its_ages(self, loss: Loss, label: int) -> Loss:
        """Return a loss with the rate that was to be expected at most of its own labels, by their ages."""
        if self._monitors is None or self._ages is None or loss.detector != LR_CUSUM:
            return loss
        rates = self._monitors.rates(loss.monitor)
        expected = self.recent.expected(label, self._series.index(loss.monitor), loss.labels, rates)
        return replace(loss, reference=expected, threshold=expected)

    def _hypothesis(self, loss: Loss) -> Hypothesis:
        if loss.monitor == RESIDUAL:
            buckets = 1 if self._ages is None else len(self._ages.p0)
            place = self._series.index(RESIDUAL)
            return Hypothesis(place, [loss.reference] * buckets, [loss.value] * buckets, of_rates=False)
        before, after = (1.0 - rate if loss.monitor == ACCURACY else rate for rate in (loss.reference, loss.value))
        series = self._series.index(ERROR if loss.monitor == ACCURACY else loss.monitor)
        if self._monitors is None or self._ages is None:
            return Hypothesis(series, [before], [after])
        rates = self._monitors.rates(loss.monitor)
        return Hypothesis(series, rates, tilted(rates, odds_ratio(after, before)))

    def snapshot(self) -> AlarmState:
        """Return the state."""
        monitors = None if self._monitors is None else self._monitors.snapshot()
        closed = None if self.cohorts is None else self.cohorts.state
        return AlarmState(self.incidents, self.recent, self._evidence, self._causes.state, monitors, closed)

    def restore(self, state: AlarmState) -> None:
        """Become what gave the snapshot."""
        self.incidents, self.recent, self._evidence = state.incidents, state.recent, state.evidence
        self._causes.state = state.causes
        if self._monitors is not None and state.monitors is not None:
            self._monitors.restore(state.monitors)
        if self.cohorts is not None and state.closed is not None:
            self.cohorts.state = state.closed


def _values(heard: Heard) -> FloatArray:
    return np.column_stack([heard.flags, heard.residuals])


def _series(baseline: Baseline) -> list[str]:
    monitors = [] if baseline.performance is None else [monitor.name for monitor in baseline.performance.monitors]
    return [*monitors, RESIDUAL]


def _monitors(baseline: Baseline, spec: ModelSpec) -> Monitors | None:
    if baseline.performance is None:
        return None
    shares = budget.shares(spec.alerts.false_pages_per_month)
    labels_per_week = (baseline.rows_per_week or baseline.rows) * baseline.performance.rows / max(baseline.rows, 1)
    return Monitors(baseline.performance, baseline.label_ages, accuracy_drop(spec), shares.performance, labels_per_week)


def _cohorts(baseline: Baseline, spec: ModelSpec) -> ClosedWatch | None:
    closed = None if baseline.performance is None else baseline.performance.closed
    share = budget.shares(spec.alerts.false_pages_per_month).closed_cohorts
    return None if closed is None else ClosedWatch(baseline, closed, share)


def _culprit(loss: Loss, onset: int, row: int) -> Culprit:
    return since_onset(
        loss.monitor,
        loss.detector,
        loss.statistic,
        value=loss.value,
        noise_floor=loss.noise_floor,
        threshold=loss.threshold,
        rows=loss.labels,
        onset=onset,
        row=row,
    )
