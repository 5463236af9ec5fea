"""The labelled half of a model version: cohorts, monitors, and the performance incident."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from services.detector.baseline import ALL, WINDOW_SEGMENT, Baseline
from services.detector.estimates.watch import EstimateWatch
from services.detector.figures import Ring, Told
from services.detector.incidents.drift import Change
from services.detector.incidents.incident import OpenIncident, Subject
from services.detector.incidents.performance import PerformanceIncidents
from services.detector.incidents.rules import RuleIncidents
from services.detector.labelled_block import LabelledBlock, integers, label_place
from services.detector.loss_alarms import AlarmState, ChangedAt, LossAlarms
from services.detector.performance import recent_labels, served_index
from services.detector.performance.cell_cohorts import MAX_COHORTS, MAX_OPEN, CellCohorts, served_key, served_place
from services.detector.performance.closed.watch import ClosedCohort
from services.detector.performance.cohorts import CohortPlace, Cohorts, CohortState, Labelled
from services.detector.performance.label_delays import LEAST_SHARE, Arrivals, LabelDelays
from services.detector.performance.score_bins import score_edges
from services.detector.performance.selection import noted, unevenness
from services.detector.performance.served_index import ServedIndex
from services.detector.performance.tally import Tally
from services.detector.performance_build import RESIDUAL
from services.detector.report import CohortRow, EstimateRow
from services.detector.rules.watch import Moment
from services.detector.segments import Memberships
from services.detector.signals.labelled import LabelledSignals
from services.detector.signals.plan import Signals
from services.detector.structs import IntArray
from shared.events.alert import Place
from shared.events.block import LABEL_TS, PREDICTION, SERVED_ROW, SERVED_SEQ, Chain
from shared.monitors import ModelSpec

ERRORS = "errors"  # all of them


class LossState(msgspec.Struct):
    """The state beside the cohorts."""

    served: ServedIndex
    delays: LabelDelays
    now_ms: int
    alarms: AlarmState
    estimates: bytes
    early_warning: RuleIncidents


class FinalCohort(NamedTuple):
    """A cohort that gets no more labels."""

    row: int  # of the served block, that made it final
    place: CohortPlace
    first_row: int  # the model's served row at which it began


class LossWatch:
    """Everything that labels tell of one model version."""

    def __init__(
        self,
        baseline: Baseline,
        spec: ModelSpec,
        cohort_sizes: Sequence[int],
        told: Told,
        beside: Callable[[CohortRow], CohortRow],
        *,
        exact: bool = False,
    ) -> None:
        """Begin; beside: adds to a cohort what is known of it without labels."""
        self._beside = beside
        self._baseline = baseline
        self._tally = Tally.of(baseline, spec.quantile, spec.cost)
        self._new_size = cohort_sizes[-1] if len(cohort_sizes) > 1 else WINDOW_SEGMENT
        edges = score_edges(baseline, self._tally.curves)
        self.cohorts = Cohorts(baseline.cells, cohort_sizes, self._tally, edges, exact=exact)
        self.estimates = EstimateWatch(baseline, cohort_sizes, spec.estimates.alert)
        self._served = ServedIndex()
        self._delays, self._now_ms = LabelDelays(), 0
        self._alarms = LossAlarms(baseline, spec, told)
        self._horizon_ms = spec.horizon_ms
        self.closed: list[ClosedCohort] = []  # cohorts of all traffic that the newest served block has closed

    @property
    def labels(self) -> int:
        """Return the labelled rows so far."""
        return self._alarms.recent.labels

    @property
    def incidents(self) -> PerformanceIncidents:
        """Return what is open."""
        return self._alarms.incidents

    @property
    def why_not(self) -> dict[str, str]:
        """Return the errors that no monitor watches, with the reason."""
        performance = self._baseline.performance
        if performance is None:
            return {ERRORS: "the reference has no predictions with labels"}
        reasons = {monitor.name: monitor.reason for monitor in performance.monitors}
        if performance.residual is not None:
            reasons[RESIDUAL] = performance.residual_reason
        if self._alarms.cohorts is not None:
            reasons |= self._alarms.cohorts.why_not
        book = self.books[0]
        share = self._share_of_usual((book.final + book.dropped) * book.size, self._now_ms)
        if share is not None and share < LEAST_SHARE:
            reasons[ERRORS] = f"only {share:.0%} of the usual number of labels have come"
        return {name: why for name, why in reasons.items() if why}

    def _share_of_usual(self, first_row: int, now_ms: int) -> float | None:
        """Return how many labels of all cohorts from a row on have come, of so many as usual by a time.

        Where none of them is old enough to tell, the newest does that is.
        """
        book = self.books[0]
        cohorts = [(at + book.dropped, *of) for at, of in enumerate(zip(book.predicted, book.last_ms, strict=True))]
        first = max(-(-first_row // book.size) - book.dropped, 0)  # the cohort around the row is of both sides
        share = self._delays.share_of_usual(cohorts[first:], now_ms)
        for cohort in reversed(cohorts[:first]):
            if share is not None:
                break
            share = self._delays.share_of_usual([cohort], now_ms)
        return share

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
            self.estimates.books.begin(book, self._new_size)

    def serve(
        self,
        batch: pa.RecordBatch,
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
        predicted = self._tally.predicted(batch.column(PREDICTION))
        self.closed = []
        close = partial(self._close, times, final_before_ms)
        final = self.cohorts.serve(chain.shard, chain.seq, cells, times, predicted, last, final_before_ms, close)
        self._now_ms = int(times[-1]) if len(times) else self._now_ms
        for cell, at in final:
            if cell == 0:
                self._delays.finish(at + self.books[0].dropped, self.books[0].predicted[at])
        return final

    def _close(self, times: IntArray, final_before_ms: int) -> None:
        watch = self._alarms.cohorts
        if watch is not None:
            self.closed = watch.closing(self.cohorts, times, final_before_ms + self._horizon_ms, self._horizon_ms)

    def judge(self, cohort: ClosedCohort, moment: Moment) -> Iterator[tuple[Change, OpenIncident]]:
        """Take a closed cohort; return the changes of the incident as they are asked for."""
        yield from self._alarms.closed(cohort, moment)

    def estimate(self, model: str, version: str, signals: Signals, cells: Memberships) -> Iterator[EstimateRow]:
        """Take the signals of a served block; return what is expected of the cohorts that are full now."""
        full = self.estimates.served(signals, cells)
        rows = (self.estimates.row(model, version, self.cohorts.labels[place[0]], place) for place in full)
        return (row for row in rows if row is not None)

    def fold(
        self,
        batch: pa.RecordBatch,
        chain: Chain,
        labelled: LabelledSignals,
        subject: Subject,
    ) -> Iterator[ChangedAt]:
        """Take one labelled block; return the changes of the incident as they are asked for, in row order."""
        block = self._block(batch, chain)
        self.cohorts.label(chain.shard, self._contributions(chain.shard, _keys(batch), labelled))
        at = self.books[0].find(chain.shard, _keys(batch))
        arrivals = Arrivals(self._delays, np.where(at < 0, -1, at + self.books[0].dropped), block.ages_ms)
        label_ms = integers(batch, LABEL_TS)

        def is_covered(row: int, onset: int) -> bool:
            # By the label's own time: where labels are read behind the predictions, none of them is missing for that.
            arrivals.count(row + 1)
            share = self._share_of_usual(onset, int(label_ms[row]))
            return share is None or share >= LEAST_SHARE

        changes = self._alarms.fold(block, labelled, subject, is_covered)
        return _then(changes, partial(arrivals.count, batch.num_rows))

    def correct(
        self, batch: pa.RecordBatch, chain: Chain, before: LabelledSignals, after: LabelledSignals
    ) -> Iterator[ChangedAt]:
        """Replace labels; return the changes of the incident as they are asked for, in row order."""
        keys = _keys(batch)
        self.cohorts.label(chain.shard, self._contributions(chain.shard, keys, before), sign=-1)
        self.cohorts.label(chain.shard, self._contributions(chain.shard, keys, after))
        return self._alarms.correct(self._block(batch, chain), before, after)

    def _block(self, batch: pa.RecordBatch, chain: Chain) -> LabelledBlock:
        places = zip(integers(batch, SERVED_SEQ).tolist(), integers(batch, SERVED_ROW).tolist(), strict=True)
        served = np.array([self._served.row(chain.shard, seq, row) for seq, row in places], np.int64)
        return LabelledBlock(batch, chain, served)

    def cohort_numbers(self, batch: pa.RecordBatch, chain: Chain) -> IntArray:
        """Return which cohort of all traffic each label's prediction is in; -1 where it is unknown or final."""
        book = self.books[0]
        at = book.find(chain.shard, _keys(batch))
        return np.where(at < book.final, -1, at + book.dropped)

    def well(self, row: CohortRow, _: object) -> Iterator[tuple[Change, OpenIncident]]:
        """Take a final cohort of all traffic; return the changes of the incident as they are asked for."""
        yield from self._alarms.well(row)

    def places(self, batch: pa.RecordBatch, chain: Chain, row: int, series: str, events: int) -> tuple[Place, Place]:
        """Return where the last `events` values of a series begin, seen from a row of the newest block; and the row."""
        onset = self._alarms.place_of(self.labels - batch.num_rows + row, series, events)
        served = int(self._block(batch.slice(row, 1), chain).served[0])
        return onset, label_place(batch, row, max(served, onset.row))

    def traffic_shares(self, later: Memberships | None = None) -> dict[str, float]:
        """Return each cell's share of the served rows; without `later` ones, whose cells are given."""
        rows = np.array([book.rows for book in self.books], np.int64)
        if later is not None:
            rows -= np.bincount(later[later >= 0], minlength=len(rows))
        total = max(int(rows[0]), 1)
        shares = (round(count / total, 4) for count in rows.tolist())
        return dict(zip(self.cohorts.labels, shares, strict=True))

    def finals(self, final: Sequence[CohortPlace], times: IntArray, horizon_ms: int) -> list[FinalCohort]:
        """Return where final cohorts began, and at which row of a served block each became final, by that row.

        times: stream time after each row of the block.
        """
        found = []
        for cell, at in final:
            book = self.books[cell]
            row = int(np.searchsorted(times, book.last_ms[at] + horizon_ms, side="right"))
            keys = {shard: served_place(starts[at]) for shard, starts in book.starts.items()}
            first_row = book.span(at)[0] if cell == 0 else self._served.first_row(keys)
            found.append(FinalCohort(min(row, len(times) - 1), (cell, at), first_row))
        return sorted(found, key=lambda cohort: cohort.row)

    def counts(self, place: CohortPlace) -> tuple[IntArray, tuple[int, int]]:
        """Return the counts of a full cohort, and its first and last row of its segment."""
        book = self.books[place[0]]
        return book.counts[place[1]], book.span(place[1])

    def cohort_row(self, model: str, version: str, final: CohortPlace) -> CohortRow:
        """Return a final cohort."""
        return self._completed(self.cohorts.row(model, version, final, is_final=True), final[0])

    def newest_cohort(self, model: str, version: str) -> CohortRow | None:
        """Return the newest cohort whose labels say something; see `Cohorts.newest`."""
        row = self.cohorts.newest(model, version)
        return None if row is None else self._completed(row, 0)

    def newest_estimate(self, model: str, version: str) -> EstimateRow | None:
        """Return what is expected of the newest full cohort of all traffic."""
        place = self.estimates.books.newest
        return None if place is None else self.estimates.row(model, version, ALL, place)

    def cohort_rows(self, model: str, version: str, final_before_ms: int) -> list[CohortRow]:
        """Return every full cohort."""
        cells = {label: cell for cell, label in enumerate(self.cohorts.labels)}
        return [self._completed(row, cells[row.segment]) for row in self.cohorts.rows(model, version, final_before_ms)]

    def _completed(self, row: CohortRow, cell: int) -> CohortRow:
        """Return a cohort with how long its labels took, and with what was estimated of it."""
        number = row.cohort_start_row // self.books[cell].size
        return self._beside(self.estimates.beside(self._delayed(row), (cell, number)))

    def _delayed(self, row: CohortRow) -> CohortRow:
        """Return a cohort with how long its labels took, and of which segments they are; that is of all traffic."""
        if row.segment != ALL:
            return row
        number = row.cohort_start_row // self.books[0].size
        p50, p95 = (self._delays.quantile_seconds(number, share) for share in (0.5, 0.95))
        why = self._uneven_segments(self.books[0].last_ms[number - self.books[0].dropped])
        metrics = noted(row.metrics, why) if why else row.metrics
        return replace(row, label_delay_p50=p50, label_delay_p95=p95, metrics=metrics)

    def _uneven_segments(self, time_ms: int) -> str:
        """Return how the share of labels differs between segments, in their newest full cohorts that end by a time."""
        for segmentation in self._baseline.segmentations:
            cells = slice(segmentation.first, segmentation.other + 1)
            counts = [book.covered(book.newest_by(time_ms)) for book in self.books[cells]]
            labelled, served = np.array(counts, np.int64).T
            why = unevenness(labelled, served, self.cohorts.labels[cells])
            if why:
                return why
        return ""

    def _contributions(self, shard: int, keys: IntArray, rows: LabelledSignals) -> Labelled:
        told = self._tally.contributions(rows.labels, rows.predictions, rows.scores)
        return Labelled(keys, self._as_served(shard, keys, rows.cells), told)

    def counted(self, chain: Chain, cells: Memberships) -> list[list[tuple[str, int]]]:
        """Return in which cells, as (segment, rows of a cohort), the rows of a served block were counted."""
        named = [(name, book.size) for name, book in zip(self.cohorts.labels, self.books, strict=True)]
        rows = np.arange(len(cells), dtype=np.int64)
        books = self._as_served(chain.shard, served_key(np.full(len(rows), chain.seq, np.int64), rows), cells)
        return [[named[book] for book in row if book >= 0] for row in books.tolist()]

    def _as_served(self, shard: int, keys: IntArray, cells: Memberships) -> Memberships:
        """Return the cells in which rows were counted when they were served.

        cells: those of the baseline, and behind them the new ones that their combinations have by now. A row that was
        served before its combination had one was counted in the baseline's.
        """
        segmentations = cells.shape[1] // 2
        known, new = cells[:, : segmentations + 1], cells[:, segmentations + 1 :]
        counted = self.cohorts.holds(shard, keys, new)
        return np.column_stack([known[:, 0], np.where(counted, -1, known[:, 1:]), np.where(counted, new, -1)])

    def snapshot(self) -> LossState:
        """Return the state beside the cohorts."""
        estimates = self.estimates.books.snapshot()
        alarms, warning = self._alarms.snapshot(), self.estimates.alarms.incidents
        return LossState(self._served, self._delays, self._now_ms, alarms, estimates, warning)

    def restore(self, state: LossState, cohorts: CohortState, new: Sequence[str]) -> None:
        """Become what gave the snapshot; `new` are the names of the cells behind the baseline's."""
        self.cohorts.labels[len(self._baseline.cells) :] = new
        self._served, self._delays, self._now_ms = state.served, state.delays, state.now_ms
        self._alarms.restore(state.alarms)
        self.estimates.books.restore(state.estimates)
        self.estimates.alarms.incidents = state.early_warning
        self.cohorts.restore(cohorts)


def _then(changes: Iterator[ChangedAt], done: Callable[[], None]) -> Iterator[ChangedAt]:
    yield from changes
    done()


def _keys(batch: pa.RecordBatch) -> IntArray:
    """Return the served key of each label's prediction."""
    return served_key(integers(batch, SERVED_SEQ), integers(batch, SERVED_ROW))
