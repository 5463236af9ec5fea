"""Labels that come late and early: pages for nothing, how soon a loss pages, and labels that are put right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.banks.detections import Detections
from services.detector.structs import FloatArray, IntArray
from shared.events.alert import Incident, IncidentEvent, IncidentKind
from shared.monitors import ModelSpec
from shared.values import parse_ts
from tests.truth.experiment import Experiment, Measured, repeated
from tests.truth.late_labels import CLEARED_AFTER, DAYS, REFERENCE_DAYS, Traffic, cuts, days
from tests.truth.streams import DAY_MS, START_MS
from tests.truth.watching import Prepared, Watched

RUNS = 5
LOSS_FROM, PAGED_WITHIN = 90, 15  # days
MISTAKEN, PUT_RIGHT = 60, 62  # the day whose labels are wrong, and when they are corrected
SPEC = ModelSpec(task="binary", positive_class="1", reference="reference.parquet", label_horizon="45d")
LOSS = IncidentKind.PERFORMANCE_DEGRADATION


@dataclass
class Fed:
    """A detector that is fed traffic day by day."""

    watched: Watched
    traffic: Traffic

    def __post_init__(self) -> None:
        self._blocks = np.zeros(self.traffic.count, np.int64)
        self._places = np.zeros(self.traffic.count, np.int64)

    def serve(self, rows: IntArray) -> None:
        """Serve rows."""
        for part in cuts(rows):
            self._blocks[part] = self.watched.serve(self.traffic.served(part))
            self._places[part] = np.arange(len(part))

    def label(self, rows: IntArray, labels: IntArray) -> None:
        """Label rows, all of whose labels are given."""
        for part in cuts(rows):
            self.watched.label(self.traffic.labelled(part, self._blocks, self._places, labels[part]))

    def correct(self, rows: IntArray) -> None:
        """Put labels right that were turned round."""
        for part in cuts(rows):
            truth = self.traffic.positive[part]
            self.watched.correct(self.traffic.labelled(part, self._blocks, self._places, truth, 1 - truth))


def _prepared(seed: int, *, timed: bool = True) -> Prepared:
    past = Traffic.simulated(np.random.default_rng([seed, 11]), -REFERENCE_DAYS, REFERENCE_DAYS)
    return Prepared(SPEC, past.reference(timed=timed))


def _traffic(seed: int, until: int, loss_from: int | None = None) -> Traffic:
    return Traffic.simulated(np.random.default_rng([seed, 12]), 0, until, loss_from)


def _losses(watched: Watched) -> list[Incident]:
    return [page for page in watched.pages if LOSS in page.kinds]


def quiet(seed: int) -> tuple[int, int]:
    """Return the pages of 150 days without a loss, and what the same monitors say that do not look at ages."""
    fed = Fed(_prepared(seed).watch(), _traffic(seed, DAYS))
    for served, told in days(fed.traffic):
        fed.serve(served)
        fed.label(told, fed.traffic.positive)
    arriving = np.argsort(fed.traffic.label_ts, kind="stable")
    came = fed.traffic.label_ts[arriving] < START_MS + DAYS * DAY_MS
    return len(_losses(fed.watched)), len(_alarms(seed, _flags(fed.traffic)[arriving[came]]))


def found(seed: int) -> tuple[float, float]:
    """Return the days from a loss to its page, and to what the same monitors say of cohorts that are closed."""
    fed = Fed(_prepared(seed).watch(), _traffic(seed, LOSS_FROM + 2 * PAGED_WITHIN, LOSS_FROM))
    for served, told in days(fed.traffic):
        fed.serve(served)
        fed.label(told, fed.traffic.positive)
        if _losses(fed.watched):
            break
    closed = _alarms(seed, _flags(fed.traffic)).row
    late = [_day(int(fed.traffic.ts[row])) + CLEARED_AFTER - LOSS_FROM for row in closed.tolist()]
    return _delay(_losses(fed.watched)), min((days for days in late if days > CLEARED_AFTER), default=math.inf)


def corrected(seed: int) -> tuple[int, int]:
    """Return the incidents that a day of wrong labels opens, and how many of them their correction retracts."""
    fed = Fed(_prepared(seed).watch(), _traffic(seed, PUT_RIGHT + 1))
    mistaken = np.zeros(0, np.int64)
    for day, (served, told) in enumerate(days(fed.traffic)):
        fed.serve(served)
        if day == MISTAKEN:
            mistaken = told
        fed.label(told, 1 - fed.traffic.positive if day == MISTAKEN else fed.traffic.positive)
        if day == PUT_RIGHT:
            fed.correct(mistaken)
    events = fed.watched.events
    return events[IncidentEvent.OPENED], events[IncidentEvent.RETRACTED]


def _flags(traffic: Traffic) -> FloatArray:
    wrong = (traffic.positive != traffic.flagged).astype(np.float64)
    is_positive = traffic.positive == 1
    return np.column_stack([wrong, np.where(is_positive, wrong, np.nan), np.where(is_positive, np.nan, wrong)])


def _alarms(seed: int, flags: FloatArray) -> Detections:
    """Return what the monitors of a reference without label times say, which begin anew after each alarm."""
    performance = _prepared(seed, timed=False).baseline.performance
    monitors = [] if performance is None else performance.monitors
    p0, thresholds = (np.array([getattr(monitor, name) for monitor in monitors]) for name in ("p0", "threshold"))
    return BernoulliCusumBank.for_increase(p0, thresholds).update(flags)


def _day(ms: int) -> float:
    return (ms - START_MS) / DAY_MS


def _delay(pages: list[Incident]) -> float:
    return _day(parse_ts(pages[0].detected.ts)) - LOSS_FROM if pages else math.inf


def _judge_quiet(results: list[tuple[int, int]], _: float) -> Measured:
    pages, naive = sum(pages for pages, _ in results), sum(naive for _, naive in results) / len(results)
    return Measured({"pages": pages, "runs": len(results), "in_order_of_arrival_a_run": naive}, pages == 0)


def _judge_found(results: list[tuple[float, float]], _: float) -> Measured:
    delays, closed = ([result[which] for result in results] for which in (0, 1))
    figures = {"mean_days": float(np.mean(delays)), "slowest": max(delays), "closed_cohorts": float(np.mean(closed))}
    return Measured(figures, min(delays) >= 0.0 and max(delays) <= PAGED_WITHIN)


def _judge_corrected(results: list[tuple[int, int]], _: float) -> Measured:
    opened, retracted = (sum(result[which] for result in results) for which in (0, 1))
    return Measured({"opened": opened, "retracted": retracted}, opened == retracted >= len(results))


EXPERIMENTS = (
    Experiment(
        "late-labels",
        "positives labelled in 5 days, negatives in 30, traffic x 1.5 on day 75 of 150: no page of a loss",
        repeated(quiet, RUNS),
        _judge_quiet,
    ),
    Experiment(
        "late-labels-loss",
        f"the same, TPR .6 to .4 and FPR .5 to 1 % on day 90: a page within {PAGED_WITHIN} days",
        repeated(found, RUNS),
        _judge_found,
    ),
    Experiment(
        "late-labels-corrected",
        "the same, a day's labels wrong and put right two days later: what they opened is retracted",
        repeated(corrected, RUNS),
        _judge_corrected,
    ),
)
