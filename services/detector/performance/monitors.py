"""Monitors of labels, in the order in which labels arrive: who fired, and who came back.

Errors are flags of labelled rows, watched by likelihood-ratio CUSUMs against the largest rate that counts as none the
worse at the age of the label; a regression's signed residual is watched by Page-Hinkley on the normal score of its
reference rank, for a mean error can move while the size of the errors does not. A monitor that fired is watched for
recovery: by a mirrored CUSUM from the rate since the onset back to the reference, or by calm windows of the residual.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from services.detector import budget
from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.banks.page_hinkley import VERDICT_DELTA, PageHinkleyBank
from services.detector.baseline import ReferencePerformance
from services.detector.performance.accuracy_drop import WIDTH, AccuracyRule, RecentAccuracy
from services.detector.performance.label_ages import LabelAges, odds_ratio, tilted
from services.detector.performance.reanchor import Cut, Reanchor
from services.detector.performance.recovery import Recovery
from services.detector.performance_build import RESIDUAL
from services.detector.report import CohortRow
from services.detector.sequential import NORMAL_SCORE_GATE, page_hinkley_bank
from services.detector.signals.monitored import ERROR, ERROR_OF, FALSE_NEGATIVE, FALSE_POSITIVE, NDCG_LOSS
from services.detector.state import load, save
from services.detector.structs import FloatArray, IntArray

LEAST_ODDS = 1.05  # of errors since an onset, to those that count as none the worse
CALM_RESIDUALS = 3  # windows of WIDTH labels under half the gate
ACCURACY = "accuracy"
LR_CUSUM = "lr_cusum"


@dataclass(frozen=True, slots=True)
class Loss:
    """One monitor fired at a labelled row of the batch."""

    row: int
    monitor: str
    detector: str
    statistic: str
    value: float
    reference: float
    noise_floor: float
    threshold: float
    labels: int  # since its statistic was last zero, the firing one included
    chance_per_week: float


@dataclass(frozen=True, slots=True)
class Heard:
    """Labelled rows as monitors take them."""

    flags: FloatArray  # [rows, monitors]
    residuals: FloatArray  # [rows], what the age of a label tells of them taken away
    ages: IntArray  # [rows], the bucket of each label's age

    def between(self, start: int, stop: int) -> Heard:
        """Return some of the rows."""
        return Heard(self.flags[start:stop], self.residuals[start:stop], self.ages[start:stop])


def hear(ages: LabelAges | None, flags: FloatArray, residuals: FloatArray, of_row: IntArray) -> Heard:
    """Return labelled rows by the ages of their labels.

    flags: [rows, monitors], 1 error, 0 none, a loss between them, NaN undefined; residuals: [rows], normal scores, NaN
    undefined; of_row: [rows], the bucket of each label's age.
    """
    return Heard(flags, residuals if ages is None else residuals - np.array(ages.residual_shifts)[of_row], of_row)


@dataclass(frozen=True, slots=True)
class Back:
    """One monitor that had fired is back at the reference."""

    row: int
    monitor: str


class MonitorState(msgspec.Struct):
    """What the banks do not hold."""

    errors: bytes
    residuals: bytes
    cuts: bytes
    recoveries: dict[str, Recovery]
    recent: RecentAccuracy
    residual_watched: bool
    calm: int
    calm_labels: int
    calm_total: float


class Monitors:
    """All performance monitors of one model version."""

    def __init__(
        self,
        reference: ReferencePerformance,
        ages: LabelAges | None,
        drop: float | None,
        share: float,
        labels_per_week: float,
    ) -> None:
        self._reference = reference
        self._monitors = reference.monitors
        self._ages = ages
        self._share = share
        watched = sum(m.rows / max(reference.rows, 1) for m in self._monitors) + (reference.residual is not None)
        self._updates_per_week = max(labels_per_week * watched, 1.0)
        self._allowed = np.array([not m.reason for m in self._monitors], np.bool_)
        self._p0 = [[m.p0 for m in self._monitors]] if ages is None else ages.p0
        self._errors = BernoulliCusumBank.for_increase(
            np.array(self._p0, np.float64),
            np.array([m.threshold for m in self._monitors], np.float64),
        )
        self._reanchor = Reanchor(np.array(self._p0, np.float64), self._allowed)
        mean = reference.residual.normal_mean if reference.residual is not None else 0.0
        self._residuals = page_hinkley_bank(np.array([mean]), share, self._updates_per_week)
        self._residual_mean = mean
        self._rule = AccuracyRule(drop, reference.accuracy, reference.rows) if drop is not None else None
        self._recent = RecentAccuracy()
        self._recoveries: dict[str, Recovery] = {}
        self._watch_residual(is_watched=False)

    def rates(self, monitor: str) -> list[float]:
        """Return the largest rate of a monitor that counts as none the worse, for every bucket of ages."""
        place = self._place(monitor)
        return [p0[place] for p0 in self._p0]

    def update(self, heard: Heard) -> list[Loss]:
        """Fold labelled rows in order and return the losses, in row order."""
        losses = [*self._fired(heard), *self._drifted(heard.residuals), *self._dropped(heard.flags)]
        return sorted(losses, key=lambda loss: loss.row)

    def again(self, heard: Heard) -> list[Cut]:
        """Fold the same rows into what looks for second changes; return where errors became more, in row order."""
        return self._reanchor.update(heard.flags, heard.ages)

    def anew(self, loss: Loss, served: int) -> None:
        """Watch a monitor for recovery from a second change on; see `watch_recovery`."""
        self._recoveries.pop(loss.monitor, None)
        self.watch_recovery(loss, served)

    def well(self, row: CohortRow) -> list[str]:
        """Take a final cohort of all traffic; return the monitors that are back by it."""
        return [
            monitor
            for monitor, recovery in self._recoveries.items()
            if recovery.finish(row.cohort_start_row, _upper(monitor, row), self._monitors[self._place(monitor)].p0)
        ]

    def recovered(self, heard: Heard) -> list[Back]:
        """Fold the same rows into what is watched for recovery; the caller cuts them where a loss begins a watch."""
        found = self._calmed(heard.residuals) if self._residual_watched else []
        for monitor, recovery in self._recoveries.items():
            row = recovery.update(heard.flags[:, self._place(monitor)], heard.ages)
            if row is not None:
                found.append(Back(row, monitor))
        return sorted(found, key=lambda back: back.row)

    def watch_recovery(self, loss: Loss, served: int) -> None:
        """Begin to watch a monitor that has fired, from its next label on; one that is watched already goes on.

        served: the newest row of a prediction that it fired on; cohorts are looked at from there on.
        """
        if loss.monitor == RESIDUAL:
            if not self._residual_watched:
                self._watch_residual(is_watched=True)
            return
        if loss.monitor in self._recoveries:
            self._recoveries[loss.monitor].begin_cohorts(served)
            return
        p0 = self.rates(loss.monitor)
        if self._ages is None:
            rate = loss.reference + abs(loss.value - loss.reference)
            rate = 1.0 - loss.value if loss.monitor == ACCURACY else rate
            p_now = [min(max(rate, 1.05 * p0[0]), 0.999)]
        else:
            rates = (loss.value, loss.threshold)
            now, before = (1.0 - rate for rate in rates) if loss.monitor == ACCURACY else rates
            p_now = tilted(p0, max(odds_ratio(now, before), LEAST_ODDS))
        self._recoveries[loss.monitor] = Recovery(p_now, p0, since_row=served)

    def take_back(self, place: int, later: int, age: int, flag: float, instead: float) -> None:
        """Take an error of a monitor back, since which it heard `later` labels; see `BernoulliCusumBank.take_back`."""
        if self._allowed[place]:
            self._errors.take_back(place, later, age, flag, instead)
            self._reanchor.take_back(place, later, age, flag, instead)

    def forget_recovery(self, monitor: str) -> None:
        """Stop watching one monitor: it never fired."""
        self._recoveries.pop(monitor, None)
        if monitor == RESIDUAL:
            self._watch_residual(is_watched=False)

    def forget_recoveries(self) -> None:
        """Stop watching: the incident is closed."""
        self._recoveries.clear()
        self._watch_residual(is_watched=False)

    def _watch_residual(self, *, is_watched: bool) -> None:
        self._residual_watched = is_watched
        self._calm, self._calm_labels, self._calm_total = 0, 0, 0.0

    def _place(self, monitor: str) -> int:
        return [m.name for m in self._monitors].index(ERROR if monitor == ACCURACY else monitor)

    def _fired(self, heard: Heard) -> list[Loss]:
        detections = self._errors.update(np.where(self._allowed, heard.flags, np.nan), heard.ages)
        found = []
        for i in range(len(detections)):
            place = int(detections.series[i])
            monitor, labels = self._monitors[place], int(detections.events[i])
            found.append(
                Loss(
                    row=int(detections.row[i]),
                    monitor=monitor.name,
                    detector=LR_CUSUM,
                    statistic=statistic_of(monitor.name),
                    value=float(detections.mean[i]),
                    reference=monitor.rate,
                    noise_floor=math.sqrt(monitor.rate * (1 - monitor.rate) / max(labels, 1)),
                    threshold=monitor.p0,
                    labels=labels,
                    chance_per_week=budget.likelihood_chance(float(detections.statistic[i]), self._updates_per_week),
                )
            )
        return found

    def _drifted(self, residuals: FloatArray) -> list[Loss]:
        if self._reference.residual is None or self._reference.residual_reason:
            return []
        detections = self._residuals.update(residuals[:, None])
        return [
            Loss(
                row=int(detections.row[i]),
                monitor=RESIDUAL,
                detector="page_hinkley",
                statistic="mean_normal_score",
                value=float(detections.mean[i]),
                reference=self._residual_mean,
                noise_floor=1.0 / math.sqrt(max(int(detections.events[i]), 1)),
                threshold=NORMAL_SCORE_GATE,
                labels=int(detections.events[i]),
                chance_per_week=budget.page_hinkley_chance(
                    float(detections.statistic[i]), self._updates_per_week, VERDICT_DELTA
                ),
            )
            for i in range(len(detections))
        ]

    def _dropped(self, flags: FloatArray) -> list[Loss]:
        if self._rule is None:
            return []
        errors = flags[:, self._place(ERROR)]
        rows, accuracies = self._recent.update(errors)
        variance = self._rule.reference * (1.0 - self._rule.reference)
        return [
            Loss(
                row=int(row),
                monitor=ACCURACY,
                detector="accuracy_drop",
                statistic="accuracy",
                value=float(accuracy),
                reference=self._rule.reference,
                noise_floor=math.sqrt(variance / WIDTH),
                threshold=self._rule.threshold,
                labels=WIDTH,
                chance_per_week=self._share,
            )
            for row, accuracy in zip(rows.tolist(), accuracies.tolist(), strict=True)
            if accuracy < self._rule.threshold
        ]

    def _calmed(self, residuals: FloatArray) -> list[Back]:
        found = []
        for row in np.flatnonzero(~np.isnan(residuals)).tolist():
            self._calm_labels += 1
            self._calm_total += float(residuals[row])
            if self._calm_labels == WIDTH:
                shift = abs(self._calm_total / WIDTH - self._residual_mean)
                self._calm = self._calm + 1 if shift < NORMAL_SCORE_GATE / 2 else 0
                self._calm_labels, self._calm_total = 0, 0.0
                if self._calm >= CALM_RESIDUALS:
                    found.append(Back(row, RESIDUAL))
        return found

    def snapshot(self) -> MonitorState:
        """Return the state."""
        return MonitorState(
            errors=save(self._errors),
            residuals=save(self._residuals),
            cuts=self._reanchor.snapshot(),
            recoveries=self._recoveries,
            recent=self._recent,
            residual_watched=self._residual_watched,
            calm=self._calm,
            calm_labels=self._calm_labels,
            calm_total=self._calm_total,
        )

    def restore(self, state: MonitorState) -> None:
        """Become what gave the snapshot."""
        self._errors, self._residuals = load(BernoulliCusumBank, state.errors), load(PageHinkleyBank, state.residuals)
        self._reanchor.restore(state.cuts)
        self._recoveries = state.recoveries
        self._recent, self._residual_watched = state.recent, state.residual_watched
        self._calm, self._calm_labels, self._calm_total = state.calm, state.calm_labels, state.calm_total


def statistic_of(monitor: str) -> str:
    """Return what the mean of a monitor's flags is called."""
    return "mean" if monitor.startswith(NDCG_LOSS) else "rate"


def _upper(monitor: str, row: CohortRow) -> float | None:
    """Return the upper end of the interval of a cohort's rate of what a monitor watches; None where it has none."""
    if monitor in {FALSE_NEGATIVE, FALSE_POSITIVE}:
        return row.metrics["fnr" if monitor == FALSE_NEGATIVE else "fpr"].high
    if monitor.startswith(NDCG_LOSS):
        low = row.metrics[f"ndcg@{monitor.removeprefix(NDCG_LOSS)}"].low
        return None if low is None else 1.0 - low
    is_overall = monitor in {ERROR, ACCURACY}
    right = row.metrics.get("accuracy" if is_overall else f"recall_{monitor.removeprefix(ERROR_OF)}")
    return None if right is None or right.low is None else 1.0 - right.low
