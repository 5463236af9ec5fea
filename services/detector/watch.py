"""One model version under one configuration: served and labelled rows in, incident events out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from heapq import merge
from operator import itemgetter

import pyarrow as pa

from services.detector import baseline as baselines
from services.detector.admission import Admission
from services.detector.advisory.binding import bind_detectors
from services.detector.advisory.watch import ADVISORY, AdvisoryWatch
from services.detector.announcer import Announcer
from services.detector.baseline import ALL
from services.detector.degradation.watch import DegradationWatch
from services.detector.drift import DriftWatch
from services.detector.fairness.watch import FairnessWatch
from services.detector.incidents.drift import Change, DriftIncidents
from services.detector.incidents.incident import Subject, feature_of, incident_id, subject_of
from services.detector.losses import LossWatch
from services.detector.mixes.closed import ClosedMix
from services.detector.mixes.explain import MixJudge
from services.detector.mixes.watch import MixWatch
from services.detector.new_cells import NewCells
from services.detector.pairs.watch import PairWatch
from services.detector.places import Places
from services.detector.profiles import Profiles
from services.detector.quality.found import DETECTOR as QUALITY
from services.detector.quality.watch import QualityWatch
from services.detector.report import CohortRow, Sink
from services.detector.report_windows import ReportWindows, hand_over
from services.detector.rules.binding import bind
from services.detector.rules.watch import DETECTOR, Changed, Moment, RuleWatch
from services.detector.segments import Memberships
from services.detector.serving.watch import WATCHDOG, ServingWatch
from services.detector.signals.labelled import LabelledSignals
from services.detector.signals.plan import SignalPlan
from services.detector.stream_time import StreamTime
from services.detector.structs import decode_struct, encode_struct
from services.detector.watch_options import WatchOptions
from services.detector.watch_state import WatchState
from services.detector.watch_view import WatchView
from services.detector.window_rows import WindowRows
from services.detector.window_watch import Found
from shared.definition import Definition
from shared.errors import Corrupt
from shared.events.alert import IncidentKind
from shared.events.block import LABEL, REPLACED_LABEL, TS, Block, BlockKind, Chain
from shared.log import Outgoing


class Watch(WatchView):
    """Everything that is kept of a model version; a fold of its blocks."""

    def __init__(
        self,
        definition: Definition,
        model_version: str,
        configuration_version: int,
        baseline: bytes,
        options: WatchOptions,
        sink: Sink,
    ) -> None:
        self.model_version = model_version
        self.configuration_version = configuration_version
        self.configuration_hash = definition.hash
        self.definition = definition
        self._options = options
        self._sink = sink
        self._baseline = baselines.decode(baseline)
        self._plan = SignalPlan(self._baseline)
        self._stream = StreamTime()
        self._places = Places()
        self.drift = DriftWatch(self._baseline, definition.spec.alerts.false_pages_per_month)
        self._pairs = PairWatch(self._baseline, definition.spec)
        self._is_mix = MixJudge(self._baseline).explains
        self._incidents = DriftIncidents()
        self._quality = QualityWatch(definition.model, self._baseline, definition.spec)
        self._rules = RuleWatch(bind(definition.model, definition.spec, self._baseline), self._baseline, model_version)
        self._degradation = DegradationWatch.of(definition, self._baseline)
        self._fairness = FairnessWatch(definition.spec.fairness, self._baseline)
        self._advisory = AdvisoryWatch(bind_detectors(definition.model, definition.spec, self._baseline))
        rows = options.report_rows
        sizes = [rows or baselines.window_rows(cell) for cell in range(len(self._baseline.cells))]
        budget = definition.spec.alerts.false_pages_per_month
        self._mixes = MixWatch(self._baseline, budget, sizes[0])
        self._serving = ServingWatch(definition.model, model_version, budget, sizes[0])
        self._report = None if rows is None else ReportWindows(self._baseline, model_version, rows)
        self._rows = WindowRows(self._baseline, model_version)
        self._profiles = Profiles(options.outputs, sink, self._rows, options.profiles, rows is not None)
        admission = Admission.of(self._baseline, definition.spec)
        self.new_cells = NewCells(self._baseline, self.drift.windows, admission, model_version, rows)
        told, exact = options.outputs.told, options.exact_scores
        self._losses = LossWatch(self._baseline, definition.spec, sizes, told, self._serving.with_service, exact=exact)

    def same_watch(self, definition: Definition) -> bool:
        """Tell whether another definition detects the same, so that nothing needs to start anew."""
        is_same = self.definition.spec.detection == definition.spec.detection
        return is_same and self.definition.baseline_hash == definition.baseline_hash

    def adopt(self, definition: Definition, configuration_version: int) -> None:
        """Go on under a definition that detects the same."""
        self.definition, self.configuration_hash = definition, definition.hash
        self.configuration_version = configuration_version

    def end(self, log_time: int, successor: Definition) -> list[Outgoing]:
        """Close the open incidents, because nothing will watch what they tell of any longer.

        One that the successor accepts is accepted, with the reason that it gives; any other is taken back.
        """
        told: list[Outgoing] = []
        for incident in self._open():
            accepted = successor.acceptance(incident.incident_id)
            change, reason = (Change.RETRACTED, None) if accepted is None else (Change.ACCEPTED, accepted.reason)
            blast_radius = incident.blast_radius(self._losses.traffic_shares())
            told += self._announcer().tell(change, incident, self.rows_served, blast_radius, log_time, reason)
        return told

    def fold(self, block: Block, log_time: int, last: Mapping[int, int]) -> list[Outgoing]:
        """Take one block; `last` is the newest sequence number of every shard, this block's included.

        Raises:
            Corrupt: the block has no rows or no place in its shard.
        """
        if block.batch is None or block.chain is None:
            raise Corrupt(f"a {block.kind} block of {block.model} has no rows or no place in its shard's outputs")
        match block.kind:
            case BlockKind.SERVED:
                return self._served(block.batch, block.chain, log_time, last)
            case BlockKind.LABELLED:
                return self._labelled(block.batch, block.chain, log_time)
            case BlockKind.CORRECTED:
                return self._corrected(block.batch, block.chain, log_time)
            case _:
                raise Corrupt(f"{block.kind} is no kind of observation")

    def _labelled(self, batch: pa.RecordBatch, chain: Chain, log_time: int) -> list[Outgoing]:
        labelled = self._labelled_signals(batch)
        self._mixes.label(self._losses.cohort_numbers(batch, chain), labelled.labels)
        losses = self._losses.fold(batch, chain, labelled, self._subject())
        advice = self._advisory.heard(
            labelled,
            partial(self._losses.places, batch, chain),
            lambda family, row: incident_id(self._subject(), family, chain.shard, chain.seq, row),
        )
        told: list[Outgoing] = []
        for _, change, incident in merge(losses, advice, key=itemgetter(0)):
            self._options.outputs.told.detections[ADVISORY] += bool(incident.advisor) and change is Change.OPENED
            told += self._announcer().tell(change, incident, self.rows_served, {ALL: 1.0}, log_time)
        for found in self._pairs.labelled(batch, chain, labelled, self.rows_served):
            told += self._drifted(found, chain, labelled.cells[:0], log_time)
        return told

    def _corrected(self, batch: pa.RecordBatch, chain: Chain, log_time: int) -> list[Outgoing]:
        before, after = (self._labelled_signals(batch, label) for label in (REPLACED_LABEL, LABEL))
        for rows, sign in ((before, -1), (after, 1)):
            self._mixes.label(self._losses.cohort_numbers(batch, chain), rows.labels, sign)
        return [
            message
            for _, change, incident in self._losses.correct(batch, chain, before, after)
            for message in self._announcer().tell(change, incident, self.rows_served, {ALL: 1.0}, log_time)
        ]

    def _served(self, batch: pa.RecordBatch, chain: Chain, log_time: int, last: Mapping[int, int]) -> list[Outgoing]:
        ts, first_row = batch.column(TS).to_numpy(zero_copy_only=False), self.rows_served
        told = self._evict(log_time)
        self._places.take(batch)
        times = self._stream.advance(ts)
        signals = self._plan.served(batch)
        known = signals.cells
        member = self.new_cells.place(batch, known, first_row, log_time)
        signals = replace(signals, cells=member.cells)
        self._losses.begin(member.begun)
        self._quality.begin(member.begun)
        final = self._losses.serve(batch, chain, first_row, member.books, times, last, self._final_before(log_time))
        rows = (self._losses.cohort_row(self.definition.model, self.model_version, place) for place in final)
        estimates = [*self._losses.estimate(self.definition.model, self.model_version, signals, member.books)]
        told += self._profiles.cohorts(rows, log_time) + self._profiles.cohorts(estimates, log_time)
        early = self._losses.estimates.alarms
        new, reported = self.new_cells.served(replace(signals, cells=member.new), first_row)
        hand_over(self._sink, () if self._report is None else self._report.served(signals, first_row), reported)
        drifted = self.drift.served(signals, ts, times, first_row)
        drifted += [*new, *self._pairs.served(signals, chain, first_row), *self._mixes.served(known, first_row)]
        finals = self._losses.finals(final, times, self.definition.spec.horizon_ms)
        of_all = [cohort for cohort in finals if cohort.place[0] == 0]
        drifted += [found for one in of_all for found in self._mixes.finish(one.first_row, first_row + one.row)]
        of_service, hours = self._serving.served(batch, times, first_row)
        told += self._profiles.services(hours, log_time)
        cells = member.books if self.new_cells.admission.taken else member.cells
        quality = partial(self._quality.take, is_drifting=self._incidents.names)
        happened = [
            (amiss.row, partial(self._ruled, partial(quality, amiss), amiss.row))
            for amiss in self._quality.served(batch, signals, cells, times, first_row)
        ]
        happened += [(found.row, partial(self._drifted, found)) for found in drifted]
        happened += [
            (one.cohort_end_row, partial(self._ruled, partial(early.closed, one), one.cohort_end_row))
            for one in estimates
            if early.watches(one)
        ]
        happened += [
            (seen.row, partial(self._ruled, partial(self._rules.seen, seen), seen.row))
            for seen in self._rules.served(signals, times, first_row)
        ]
        happened += [
            (spoken.row, partial(self._ruled, partial(self._advisory.seen, spoken), spoken.row))
            for spoken in self._advisory.served(signals, first_row)
        ]
        happened += [(one.row, partial(self._ruled, partial(self._serving.seen, one), one.row)) for one in of_service]
        for closed in self._losses.closed:
            at = first_row + closed.row
            happened.append((at, partial(self._ruled, partial(self._losses.judge, closed), at)))
        for cohort in finals:
            segment, at = self._losses.cohorts.labels[cohort.place[0]], first_row + cohort.row
            fair = self._fairness.final(self._named, segment, self._losses.counts(cohort.place), cohort.first_row)
            if fair is not None:
                told += self._profiles.fairness(fair, log_time)
                happened.append((at, partial(self._ruled, partial(self._fairness.judge, fair), at)))
            if cohort.place[0] == 0 and self._losses.incidents.open is not None:
                row = self._losses.cohort_row(*self._named, cohort.place)
                happened.append((at, partial(self._ruled, partial(self._losses.well, row), at)))
            if self._degradation.watches(segment):
                row = self._losses.cohort_row(*self._named, cohort.place)
                happened.append((at, partial(self._ruled, partial(self._degradation.final, row, cohort.first_row), at)))
        for at, take in sorted(happened, key=itemgetter(0)):  # stable: at one row, what is calibrated comes first
            told += take(chain, member.books[max(at + 1 - first_row, 0) :], log_time)
        return told

    def _evict(self, log_time: int) -> list[Outgoing]:
        """Take the cells back of which nothing has come for long; what they alone were told for is over."""
        told: list[Outgoing] = []
        for book, name in self.new_cells.evict(log_time):
            self._losses.begin([(book, "")])
            told += self._tell(self._incidents.gone(name, self.rows_served), self.rows_served - 1, None, log_time)
            self._fairness.gone(name)
            gone = (*self._quality.end(book), *self._rules.gone(name), *self._degradation.gone(name))
            for change, incident in gone:
                told += self._announcer().tell(change, incident, self.rows_served, {}, log_time)
        return told

    def _labelled_signals(self, batch: pa.RecordBatch, label: str = LABEL) -> LabelledSignals:
        signals = self._plan.labelled(batch, label)
        return replace(signals, cells=self.new_cells.find(batch, signals.cells))

    def _drifted(self, found: Found, chain: Chain, later: Memberships, log_time: int) -> list[Outgoing]:
        """Take what one row brought; `later` are the cells of the block's rows after it."""
        told = [] if found.closed is None else self._profiles.windows(found.closed, log_time)
        detected = [culprit for culprit in found.detected if not self._quality.incidents.breaks(culprit.feature)]
        if detected:
            self._options.outputs.told.detections.update(culprit.detector for culprit in detected)
            opened = self._incidents.detect(
                incident_id(self._subject(), "drift", chain.shard, chain.seq, found.row),
                detected,
                self._places.at(found.onset_row, newest=found.row),
                self._places.at(found.row, newest=found.row),
                found.chance_per_week,
                self._is_mix,
            )
            told += self._tell(opened, found.row, later, log_time)
        if found.closed is not None and self._incidents.open is not None:
            says = [one for one in found.closed.says() if not self._quality.incidents.breaks(feature_of(one.name))]
            told += self._tell(self._incidents.judge(says, found.row, self._is_mix), found.row, later, log_time)
        if found.closed is not None and not isinstance(found.closed, ClosedMix):  # rules read rows: a mix has none
            look = partial(self._rules.closed, found.closed.segment, partial(found.closed.rows, self._rows))
            told += self._ruled(look, found.row, chain, later, log_time)
        return told

    def _ruled(
        self, look: Callable[[Moment], Iterable[Changed]], row: int, chain: Chain, later: Memberships, log_time: int
    ) -> list[Outgoing]:
        """Let what has incidents of its own look at a row: checks, what people have brought, the service's watchdog."""
        told: list[Outgoing] = []
        name = partial(incident_id, self._subject(), shard=chain.shard, seq=chain.seq, row=row)
        for change, incident in look(Moment(row, partial(self._places.at, newest=row), name)):
            by = ADVISORY if incident.advisor else WATCHDOG if incident.watchdog else DETECTOR
            by = QUALITY if incident.kinds[0] is IncidentKind.DATA_QUALITY else by
            if incident is not self._losses.incidents.open:  # which counts its own
                self._options.outputs.told.detections[by] += change is not Change.RESOLVED
            blast_radius = incident.blast_radius(self._losses.traffic_shares(later))
            told += self._announcer().tell(change, incident, row + 1, blast_radius, log_time)
        return told

    def _tell(self, change: Change | None, row: int, later: Memberships | None, log_time: int) -> list[Outgoing]:
        incident = self._incidents.open
        if change is None or incident is None:
            return []
        blast_radius = incident.blast_radius(self._losses.traffic_shares(later))
        told = self._announcer().tell(change, incident, row + 1, blast_radius, log_time)
        if change is Change.RESOLVED:
            self._incidents.close()
        return told

    def cohort_cells(self, block: Block) -> list[list[tuple[str, int]]]:
        """Return for each row of a served block its cells as (segment, rows of a cohort), as it was counted."""
        if block.batch is None or block.chain is None:
            return []
        cells = self.new_cells.find(block.batch, self._plan.served(block.batch).cells)
        return self._losses.counted(block.chain, cells)

    def cohort_rows(self, log_time: int) -> list[CohortRow]:
        """Return every full cohort with what its labels say so far."""
        return self._losses.cohort_rows(self.definition.model, self.model_version, self._final_before(log_time))

    def _final_before(self, log_time: int) -> int:
        """Return the time before which a prediction gets no label any more."""
        return min(self._stream.now or 0, log_time) - self.definition.spec.horizon_ms

    @property
    def _named(self) -> tuple[str, str]:
        return self.definition.model, self.model_version

    def _subject(self) -> Subject:
        return subject_of(self.definition, self.model_version, self.configuration_version, self._options.code_version)

    def _announcer(self) -> Announcer:
        return Announcer(self._options.outputs, self._subject())

    def snapshot(self) -> bytes:
        """Return the state; equal histories give equal bytes."""
        return encode_struct(
            WatchState(
                stream_time=self._stream,
                places=self._places,
                drift=self.drift.state,
                pairs=self._pairs.snapshot(),
                mixes=self._mixes.state,
                serving=self._serving.snapshot(),
                banks=self.drift.snapshot(),
                drift_incidents=self._incidents,
                quality=self._quality.snapshot(),
                rules=self._rules.snapshot(),
                degradation=self._degradation.snapshot(),
                fairness=self._fairness.state,
                advisory=self._advisory.snapshot(),
                report=None if self._report is None else self._report.snapshot(),
                new_cells=self.new_cells.snapshot(),
                losses=self._losses.snapshot(),
                cohorts=self._losses.cohorts.snapshot(),
            )
        )

    def restore(self, content: bytes) -> None:
        """Become the watch that gave `content`.

        Raises:
            msgspec.MsgspecError: the bytes are of another release.
        """
        kept = decode_struct(content, WatchState)
        self._stream, self._places = kept.stream_time, kept.places
        self.drift.restore(kept.drift, kept.banks)
        self._pairs.restore(kept.pairs)
        self._mixes.state = kept.mixes
        self._serving.restore(kept.serving)
        self._incidents = kept.drift_incidents
        self._quality.restore(kept.quality)
        self._rules.restore(kept.rules)
        self._degradation.restore(kept.degradation)
        self._fairness.state = kept.fairness
        self._advisory.restore(kept.advisory)
        if self._report is not None and kept.report is not None:
            self._report.restore(kept.report)
        self.new_cells.restore(kept.new_cells)
        self._losses.restore(kept.losses, kept.cohorts, self.new_cells.names)
