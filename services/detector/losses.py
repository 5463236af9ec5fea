"""The labelled half of a model version: cohorts, monitors, and the performance incident."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pyarrow as pa

from services.detector import budget
from services.detector.baseline import ALL, WINDOW_SEGMENT, Baseline
from services.detector.figures import Ring, Told
from services.detector.incidents.drift import Change
from services.detector.incidents.incident import OpenIncident, Subject, incident_id
from services.detector.incidents.performance import PerformanceIncidents
from services.detector.performance import recent_labels, served_index
from services.detector.performance.cohorts import (
    MAX_COHORTS,
    MAX_OPEN,
    CellCohorts,
    CohortPlace,
    Cohorts,
    CohortState,
    Labelled,
    served_key,
)
from services.detector.performance.label_ages import odds_ratio, tilted
from services.detector.performance.monitors import ACCURACY, LR_CUSUM, Heard, Loss, Monitors, MonitorState, hear
from services.detector.performance.recent_labels import RecentLabels
from services.detector.performance.score_bins import score_edges
from services.detector.performance.served_index import ServedIndex
from services.detector.performance.tally import MEDIAN, Tally
from services.detector.performance_build import RESIDUAL
from services.detector.report import CohortRow
from services.detector.segments import Memberships
from services.detector.signals.columns import translated
from services.detector.signals.labelled import ERROR, LabelledSignals
from services.detector.structs import IntArray
from shared.events.alert import Culprit, Place
from shared.events.block import LABEL_TS, SERVED_ROW, SERVED_SEQ, SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, TS, Chain
from shared.monitors import ModelSpec
from shared.values import format_ts

ERRORS = "errors"  # all of them
ChangedAt = tuple[int, Change, OpenIncident]  # row of a labelled block, and what changed there


class LossState(msgspec.Struct):
    """The state beside the cohorts."""

    incidents: PerformanceIncidents
    served: ServedIndex
    recent: RecentLabels
    monitors: MonitorState | None


class LossWatch:
    """Everything that labels tell of one model version."""

    def __init__(
        self, baseline: Baseline, spec: ModelSpec, cohort_sizes: Sequence[int], told: Told, *, exact: bool = False
    ) -> None:
        self._baseline = baseline
        positive = baseline.classes.index(baseline.positive) if baseline.positive in baseline.classes else -1
        self._tally = Tally(baseline.task, tuple(baseline.classes), positive, spec.quantile or MEDIAN)
        self._new_size = cohort_sizes[-1] if len(cohort_sizes) > 1 else WINDOW_SEGMENT
        edges = score_edges(baseline, self._tally.curves)
        self.cohorts = Cohorts(baseline.cells, cohort_sizes, self._tally, edges, exact=exact)
        self.incidents = PerformanceIncidents()
        self._served = ServedIndex()
        self._series = _series(baseline)
        self._recent = RecentLabels.of(len(self._series))
        self._monitors = _monitors(baseline, spec)
        self._told = told

    @property
    def labels(self) -> int:
        """Return the labelled rows so far."""
        return self._recent.labels

    @property
    def why_not(self) -> dict[str, str]:
        """Return the errors that no monitor watches, with the reason."""
        performance = self._baseline.performance
        if performance is None:
            return {ERRORS: "the reference has no predictions with labels"}
        reasons = {monitor.name: monitor.reason for monitor in performance.monitors}
        if performance.residual is not None:
            reasons[RESIDUAL] = performance.residual_reason
        return {name: why for name, why in reasons.items() if why}

    @property
    def books(self) -> list[CellCohorts]:
        """Return every cell's cohorts."""
        return self.cohorts.state.cells

    def rings(self) -> dict[str, Ring]:
        """Return how full the memories are; of cohorts those of the fullest cell, of blocks those of the fullest shard.

        The index of served blocks drops none for good: it thins out the older ones.
        """
        kept = min(self.labels, recent_labels.KEPT)
        return {
            "recent_labels": Ring(kept, recent_labels.KEPT, self.labels - kept),
            "served_blocks": Ring(self._served.largest, served_index.KEPT, 0),
            "cohorts": Ring(
                max(len(book.predicted) for book in self.books),
                MAX_COHORTS,
                sum(book.dropped for book in self.books),
            ),
            "open_cohorts": Ring(
                max(len(book.predicted) - book.closed for book in self.books),
                MAX_OPEN,
                self.cohorts.closed_early,
            ),
        }

    def begin(self, books: Iterable[tuple[int, str]]) -> None:
        """Begin the cohorts of cells anew, each under its name; those behind the last begin to be."""
        for book, name in books:
            self.cohorts.begin(book, name, self._new_size)

    def serve(
        self,
        chain: Chain,
        first_row: int,
        cells: Memberships,
        times: IntArray,
        last: Mapping[int, int],
        final_before_ms: int,
    ) -> list[CohortPlace]:
        """Take one served block, with stream time after each row, so that its labels find their way back.

        Returns the cohorts that are final now.
        """
        self._served.append(chain.shard, chain.seq, first_row)
        return self.cohorts.serve(chain.shard, chain.seq, cells, times, last, final_before_ms)

    def fold(
        self,
        batch: pa.RecordBatch,
        chain: Chain,
        labelled: LabelledSignals,
        subject: Subject,
        *,
        inputs_moved: bool,
    ) -> Iterator[ChangedAt]:
        """Take one labelled block; return the changes of the incident as they are asked for, in row order."""
        seqs, rows = _integers(batch, SERVED_SEQ), _integers(batch, SERVED_ROW)
        self.cohorts.label(chain.shard, self._contributions(chain.shard, served_key(seqs, rows), labelled))
        served = [self._served.row(chain.shard, s, r) for s, r in zip(seqs.tolist(), rows.tolist(), strict=True)]
        heard = self._hear(batch, labelled)
        self._recent.append(
            np.column_stack([heard.flags, heard.residuals]),
            heard.ages,
            np.array(served, np.int64),
            _integers(batch, TS),
            translated(batch.column(SRC_TOPIC), self._recent.topic_code, missing=0),
            _integers(batch, SRC_PARTITION),
            _integers(batch, SRC_OFFSET),
        )
        return self._changes(batch, chain, heard, subject, served, inputs_moved=inputs_moved)

    def _hear(self, batch: pa.RecordBatch, labelled: LabelledSignals) -> Heard:
        ages = _integers(batch, LABEL_TS) - _integers(batch, TS)
        return hear(self._baseline.label_ages, labelled.flags, labelled.residual_scores, ages)

    def _changes(
        self,
        batch: pa.RecordBatch,
        chain: Chain,
        heard: Heard,
        subject: Subject,
        served: list[int],
        *,
        inputs_moved: bool,
    ) -> Iterator[ChangedAt]:
        if self._monitors is None:
            return
        first_label, start = self.labels - len(served), 0
        for fired in self._monitors.update(heard):
            self._told.detections[fired.detector] += 1
            yield from self._recover(heard, start, fired.row + 1)
            start = fired.row + 1
            loss = self._at_its_ages(fired, first_label + fired.row)
            onset = self._onset(loss, first_label + loss.row)
            row = max(served[loss.row], onset.row)
            change = self.incidents.detect(
                incident_id(subject, "performance", chain.shard, chain.seq, loss.row),
                _culprit(loss, onset.row, row),
                onset,
                _label_place(batch, loss.row, row),
                loss.chance_per_week,
                inputs_moved=inputs_moved,
            )
            self._monitors.watch_recovery(loss)
            if change is not None and self.incidents.open is not None:
                yield loss.row, change, self.incidents.open
        yield from self._recover(heard, start, len(served))

    def _recover(self, heard: Heard, start: int, stop: int) -> Iterator[ChangedAt]:
        if self._monitors is None or start >= stop:
            return
        for recovery in self._monitors.recovered(heard.between(start, stop)):
            change, incident = self.incidents.recover(recovery.monitor), self.incidents.open
            if change is not None and incident is not None:
                yield start + recovery.row, change, incident
                self.incidents.close()
                self._monitors.forget_recoveries()

    def places(self, batch: pa.RecordBatch, chain: Chain, row: int, series: str, events: int) -> tuple[Place, Place]:
        """Return where the last `events` values of a series begin, seen from a row of the newest block; and the row."""
        label = self.labels - batch.num_rows + row
        onset = self._recent.place_of(label, self._series.index(series), events)
        served = self._served.row(
            chain.shard, batch.column(SERVED_SEQ)[row].as_py(), batch.column(SERVED_ROW)[row].as_py()
        )
        return onset, _label_place(batch, row, max(served, onset.row))

    def correct(self, batch: pa.RecordBatch, shard: int, before: LabelledSignals, after: LabelledSignals) -> None:
        """Replace labels: cohorts take the old one back. Sequential monitors cannot un-see, and do not try."""
        keys = served_key(_integers(batch, SERVED_SEQ), _integers(batch, SERVED_ROW))
        self.cohorts.label(shard, self._contributions(shard, keys, before), sign=-1)
        self.cohorts.label(shard, self._contributions(shard, keys, after))

    def traffic_shares(self, later: Memberships | None = None) -> dict[str, float]:
        """Return each cell's share of the served rows; without `later` ones, whose cells are given."""
        rows = np.array([book.rows for book in self.books], np.int64)
        if later is not None:
            rows -= np.bincount(later[later >= 0], minlength=len(rows))
        total = max(int(rows[0]), 1)
        shares = (round(count / total, 4) for count in rows.tolist())
        return dict(zip(self.cohorts.labels, shares, strict=True))

    def cohort_row(self, model: str, version: str, final: CohortPlace) -> CohortRow:
        """Return a final cohort."""
        return self.cohorts.row(model, version, final, is_final=True)

    def newest_cohort(self, model: str, version: str) -> CohortRow | None:
        """Return the newest cohort whose labels say something; see `Cohorts.newest`."""
        return self.cohorts.newest(model, version)

    def cohort_rows(self, model: str, version: str, final_before_ms: int) -> list[CohortRow]:
        """Return every full cohort."""
        return self.cohorts.rows(model, version, final_before_ms)

    def _contributions(self, shard: int, keys: IntArray, rows: LabelledSignals) -> Labelled:
        told = self._tally.contributions(rows.labels, rows.predictions, rows.scores)
        return Labelled(keys, self._as_served(shard, keys, rows.cells), told)

    def counted(self, chain: Chain, cells: Memberships) -> Memberships:
        """Return the cells in which the rows of a served block were counted; see `_as_served`."""
        rows = np.arange(len(cells), dtype=np.int64)
        return self._as_served(chain.shard, served_key(np.full(len(rows), chain.seq, np.int64), rows), cells)

    def _as_served(self, shard: int, keys: IntArray, cells: Memberships) -> Memberships:
        """Return the cells in which rows were counted when they were served.

        cells: those of the baseline, and behind them the new ones that their combinations have by now. A row that was
        served before its combination had one was counted in the baseline's.
        """
        segmentations = cells.shape[1] // 2
        known, new = cells[:, : segmentations + 1], cells[:, segmentations + 1 :]
        counted = self.cohorts.holds(shard, keys, new)
        return np.column_stack([known[:, 0], np.where(counted, -1, known[:, 1:]), np.where(counted, new, -1)])

    def _at_its_ages(self, loss: Loss, label: int) -> Loss:
        """Return a loss with the rate that was to be expected at most of its own labels, by their ages."""
        if self._monitors is None or self._baseline.label_ages is None or loss.detector != LR_CUSUM:
            return loss
        rates = self._monitors.rates(loss.monitor)
        expected = self._recent.expected(label, self._series.index(loss.monitor), loss.labels, rates)
        return replace(loss, reference=expected, threshold=expected)

    def _onset(self, loss: Loss, label: int) -> Place:
        if loss.monitor == RESIDUAL:
            return self._recent.onset_of_mean(label, self._series.index(RESIDUAL), loss.reference, loss.value)
        before, after = (1.0 - rate if loss.monitor == ACCURACY else rate for rate in (loss.reference, loss.value))
        series = self._series.index(ERROR if loss.monitor == ACCURACY else loss.monitor)
        if self._monitors is None or self._baseline.label_ages is None:
            return self._recent.onset_of_rate(label, series, [before], [after])
        rates = self._monitors.rates(loss.monitor)
        return self._recent.onset_of_rate(label, series, rates, tilted(rates, odds_ratio(after, before)))

    def snapshot(self) -> LossState:
        """Return the state beside the cohorts."""
        monitors = None if self._monitors is None else self._monitors.snapshot()
        return LossState(self.incidents, self._served, self._recent, monitors)

    def restore(self, state: LossState, cohorts: CohortState, new: Sequence[str]) -> None:
        """Become what gave the snapshot; `new` are the names of the cells behind the baseline's."""
        self.cohorts.labels[len(self._baseline.cells) :] = new
        self.incidents, self._served, self._recent = state.incidents, state.served, state.recent
        self.cohorts.restore(cohorts)
        if self._monitors is not None and state.monitors is not None:
            self._monitors.restore(state.monitors)


def _series(baseline: Baseline) -> list[str]:
    monitors = [] if baseline.performance is None else [monitor.name for monitor in baseline.performance.monitors]
    return [*monitors, RESIDUAL]


def _monitors(baseline: Baseline, spec: ModelSpec) -> Monitors | None:
    if baseline.performance is None:
        return None
    drop = spec.degradation.accuracy.drop if spec.degradation.accuracy is not None else None
    shares = budget.shares(spec.alerts.false_pages_per_month)
    labels_per_week = (baseline.rows_per_week or baseline.rows) * baseline.performance.rows / max(baseline.rows, 1)
    return Monitors(baseline.performance, baseline.label_ages, drop, shares.performance, labels_per_week)


def _culprit(loss: Loss, onset: int, row: int) -> Culprit:
    return Culprit(
        feature=loss.monitor,
        segment=ALL,
        detector=loss.detector,
        statistic=loss.statistic,
        value=loss.value,
        noise_floor=loss.noise_floor,
        threshold=loss.threshold,
        p_value=None,
        window_rows=loss.labels,
        window_start_row=onset,
        window_end_row=row,
        onset_row=onset,
        bins=[],
    )


def _label_place(batch: pa.RecordBatch, row: int, served_row: int) -> Place:
    """Return where a loss was detected: the label that told of it, and a prediction's row."""
    return Place(
        row=served_row,
        ts=format_ts(batch.column(LABEL_TS)[row].as_py()),
        topic=batch.column(SRC_TOPIC)[row].as_py(),
        partition=batch.column(SRC_PARTITION)[row].as_py(),
        offset=batch.column(SRC_OFFSET)[row].as_py(),
    )


def _integers(batch: pa.RecordBatch, column: str) -> IntArray:
    return np.asarray(batch.column(column).to_numpy(zero_copy_only=False), np.int64)
