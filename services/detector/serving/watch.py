"""The service of one model version, by the hour of stream time: more failures, or longer waits, than in its first week.

It begins with the first prediction that tells its latency or an error. The first week is what later ones are compared
with: failures by a likelihood-ratio CUSUM against the largest rate that counts as none the worse, row by row; the 95th
percentile of latencies by the hour. An hour of fewer than `LEAST_ROWS` rows goes on into the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import pyarrow as pa

from services.detector import budget
from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.baseline import ALL
from services.detector.incidents.watchdog import Changed, WatchdogIncidents
from services.detector.report import CohortRow
from services.detector.rules.watch import Moment
from services.detector.serving.cohorts import CohortService
from services.detector.serving.period import HOUR_MS, Period, ServingRow
from services.detector.state import load, save
from services.detector.statistics.proportions import standard_error
from services.detector.structs import FloatArray, IntArray
from shared.events.alert import Culprit
from shared.events.block import FAILED, LATENCY_MS

LEAST_ROWS = 100  # of a period, and latencies for its percentiles to be judged
LEARNED_HOURS, LEARNED_ROWS = 168, 1_000
SLOWER, SLOW_PERIODS = 2.0, 2  # times the first week's p95, in so many periods in a row
CALM = 1.5  # times, below which it is well again
FAILURES, LATENCY = "failed", "latency_ms"  # what is amiss
WATCHDOG = "watchdog"  # the detector


@dataclass(frozen=True, slots=True)
class Seen:
    """At a served row something is seen to be amiss, or, without a culprit, well again."""

    row: int
    what: str
    culprit: Culprit | None = None
    words: str = ""
    chance_per_week: float = 1.0


class ServingState(msgspec.Struct):
    """What is kept of the service."""

    cohorts: CohortService
    open: Period | None = None
    learned: Period | None = None  # the first week
    last: ServingRow | None = None  # the newest period that is closed
    errors: bytes = b""  # the CUSUM of failures; empty while the first week lasts
    p0: float = 0.0  # the largest rate of failures that counts as none the worse
    slow: int = 0  # periods in a row
    failed: int = 0  # predictions so far
    incidents: WatchdogIncidents = msgspec.field(default_factory=WatchdogIncidents)


class ServingWatch:
    """Folds served rows; without latencies and errors it does nothing."""

    def __init__(self, model: str, model_version: str, false_pages_per_month: float, cohort_rows: int) -> None:
        self._model, self._version = model, model_version
        self._share = budget.shares(false_pages_per_month, tuple(budget.Kind)).data_quality
        self._bank: BernoulliCusumBank | None = None
        self.state = ServingState(CohortService(cohort_rows))

    def served(self, batch: pa.RecordBatch, times: IntArray, first_row: int) -> tuple[list[Seen], list[ServingRow]]:
        """Fold a served block, whose first row is the model's `first_row`; times: stream time after each row.

        Returns what is seen, in row order, and the periods that are closed.
        """
        latencies, failed = service_columns(batch)
        start = 0
        if self.state.open is None:
            told = np.flatnonzero((failed > 0) | ~np.isnan(latencies))
            if not len(told):
                return [], []
            start = int(told[0])
        self.state.cohorts.add(latencies[start:], failed[start:], first_row + start)
        seen: list[Seen] = []
        closed: list[ServingRow] = []
        hours = times // HOUR_MS
        cuts = [start, *(np.flatnonzero(np.diff(hours[start:])) + start + 1).tolist(), len(times)]
        for low, high in pairwise(cuts):
            hour, row = int(hours[low]), first_row + low
            period = self.state.open
            if period is None:
                period = self.state.open = Period(hour, row)
            elif hour > period.hour and period.rows >= LEAST_ROWS:
                closed.append(period.row(self._model, self._version, hour))
                seen += self._closed(period, hour, row - 1)
                period = self.state.open = Period(hour, row)
            period.add(latencies[low:high], failed[low:high])
            self.state.failed += int(failed[low:high].sum())
            seen += self._failures(failed[low:high], row)
        if closed:
            self.state.last = closed[-1]
        return seen, closed

    def _closed(self, period: Period, hour: int, row: int) -> Iterator[Seen]:
        """Take a period that ended with a row, before an hour."""
        state, learned = self.state, self.state.learned
        if self._bank is None:
            if learned is None:
                learned = state.learned = Period(period.hour, period.first_row)
            learned.merge(period)
            if hour - learned.hour >= LEARNED_HOURS and learned.rows >= LEARNED_ROWS:
                self._begin(learned, hour)
            return
        if period.error_rate <= state.p0:
            yield Seen(row, FAILURES)
        usual, p95 = learned.p95_ms if learned is not None else None, period.p95_ms
        if usual is None or p95 is None or int(period.latencies.sum()) < LEAST_ROWS:
            return
        state.slow = state.slow + 1 if p95 >= SLOWER * usual else 0
        if state.slow == SLOW_PERIODS:
            words = f"predictions take {p95:.3g} ms at the 95th percentile, {usual:.3g} ms in the first week"
            culprit = _culprit(LATENCY, "latency_p95_ms", p95, SLOWER * usual, (period.first_row, row))
            yield Seen(row, LATENCY, culprit, words)
        elif p95 < CALM * usual:
            yield Seen(row, LATENCY)

    def _begin(self, learned: Period, hour: int) -> None:
        """Watch for failures from here on."""
        rate = learned.error_rate + 2.0 * standard_error(learned.failed, learned.rows)
        self.state.p0 = min(max(rate, 1e-6), 0.9)
        self._bank = BernoulliCusumBank.for_increase(np.array([self.state.p0]), np.array([self._threshold(hour)]))

    def _threshold(self, hour: int) -> float:
        return budget.likelihood_threshold(self._share, self._rows_per_week(hour))

    def _rows_per_week(self, hour: int) -> float:
        learned = self.state.learned
        return 1.0 if learned is None else learned.rows * LEARNED_HOURS / max(hour - learned.hour, 1)

    def _failures(self, failed: FloatArray, first_row: int) -> Iterator[Seen]:
        learned = self.state.learned
        if self._bank is None or learned is None:
            return
        found = self._bank.update(failed[:, None])
        for at in range(len(found)):
            row, events, share = first_row + int(found.row[at]), int(found.events[at]), float(found.mean[at])
            words = f"{share:.1%} of {events:,} predictions fail, where {learned.error_rate:.2%} did in the first week"
            culprit = _culprit(FAILURES, "failed_share", share, self.state.p0, (row - events + 1, row))
            yield Seen(row, FAILURES, culprit, words)

    @property
    def incidents(self) -> WatchdogIncidents:
        """Return what is open."""
        return self.state.incidents

    def seen(self, seen: Seen, moment: Moment) -> list[Changed]:
        """Return what becomes of an incident, by what is seen at a row."""
        if seen.culprit is None:
            changed = self.state.incidents.well(seen.what)
        else:
            name, chance = moment.incident_id(seen.what), seen.chance_per_week
            onset, at = moment.place(seen.culprit.onset_row), moment.place(seen.row)
            changed = self.state.incidents.amiss(seen.what, seen.words, name, seen.culprit, onset, at, chance)
        return [] if changed is None else [changed]

    def with_service(self, row: CohortRow) -> CohortRow:
        """Return a cohort with what its service did."""
        return self.state.cohorts.with_service(row)

    def snapshot(self) -> ServingState:
        """Return the state."""
        return msgspec.structs.replace(self.state, errors=b"" if self._bank is None else save(self._bank))

    def restore(self, state: ServingState) -> None:
        """Become what gave the snapshot."""
        self.state = state
        self._bank = load(BernoulliCusumBank, state.errors) if state.errors else None


def service_columns(batch: pa.RecordBatch) -> tuple[FloatArray, FloatArray]:
    """Return each row's latency in milliseconds, NaN unknown, and whether it failed, 1 or 0."""
    names, rows = batch.schema.names, batch.num_rows
    latencies, failed = np.full(rows, np.nan), np.zeros(rows)
    if LATENCY_MS in names:
        latencies = np.asarray(batch.column(LATENCY_MS).to_numpy(zero_copy_only=False), np.float64)
    if FAILED in names:
        failed = np.asarray(batch.column(FAILED).to_numpy(zero_copy_only=False), np.float64)
    return latencies, failed


def _culprit(feature: str, statistic: str, value: float, threshold: float, rows: tuple[int, int]) -> Culprit:
    first, last = rows
    return Culprit(
        feature=feature,
        segment=ALL,
        detector=WATCHDOG,
        statistic=statistic,
        value=value,
        noise_floor=0.0,
        threshold=threshold,
        p_value=None,
        window_rows=last - first + 1,
        window_start_row=first,
        window_end_row=last,
        onset_row=first,
        bins=[],
    )
