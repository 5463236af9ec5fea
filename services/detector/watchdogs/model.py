"""One model's watchdogs: silence, fewer labels than usual, columns of another shape, detectors that gave up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from services.detector.announcer import Announcer
from services.detector.baseline import ALL
from services.detector.incidents.culprits import since_onset
from services.detector.incidents.incident import Subject, incident_id, subject_of
from services.detector.incidents.watchdog import Changed, WatchdogIncidents
from services.detector.outputs import Outputs
from services.detector.warming import WarmingWatch
from services.detector.watch import Watch
from services.detector.watchdogs.arrivals import UNCALIBRATED, Arrivals, Silence
from services.detector.watchdogs.columns import ColumnShapes
from services.detector.watchdogs.labelling import Labelling, Shortfall
from services.detector.watchdogs.unknown import UnknownNames
from services.detector.watchdogs.uptake import Uptake
from shared.durations import format_duration
from shared.events.alert import Culprit, NotWatched, Place, Unwatched
from shared.events.block import SERVED_SEQ, SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, TS, Block, BlockKind, Chain
from shared.events.halt import Halt
from shared.events.news import News, UnknownFeatures
from shared.log import Outgoing
from shared.values import format_ts
from shared.watchdog import WatchdogSpec

WATCHDOG = "watchdog"  # the detector of their culprits
NO_PREDICTIONS, NO_LABELS, FEW_LABELS = "no_predictions", "no_labels", "few_labels"
FAULTED, HALTED, UNKNOWN = "faulted:", "halted:", "unknown features"
SCHEMA = "schema:"


class Now(NamedTuple):
    """Log time, what of it was witnessed, and the record that it is read from."""

    log_time: int
    witnessed: int
    chain: Chain


class Amiss(NamedTuple):
    """What an incident says is amiss."""

    feature: str
    statistic: str
    value: float
    limit: float
    words: str
    rows: int = 0
    chance: float = UNCALIBRATED

    def culprit(self, row: int) -> Culprit:
        """Return it as an incident names it, seen from a row of the model."""
        start = max(row - self.rows + 1, 0) if self.rows else row
        return since_onset(
            self.feature,
            WATCHDOG,
            self.statistic,
            value=self.value,
            threshold=self.limit,
            rows=self.rows,
            onset=start,
            row=row,
        )


class ModelState(msgspec.Struct):
    """What is kept of a model, over all of its versions."""

    predictions: Arrivals
    labels: Arrivals
    newest: Place  # of its predictions
    columns: ColumnShapes = msgspec.field(default_factory=ColumnShapes)
    labelling: Labelling = msgspec.field(default_factory=Labelling)
    incidents: WatchdogIncidents = msgspec.field(default_factory=WatchdogIncidents)
    unknown: UnknownNames = msgspec.field(default_factory=UnknownNames)
    uptake: Uptake = msgspec.field(default_factory=Uptake)

    def not_watched(self, limits: WatchdogSpec, log_time: int) -> Iterator[NotWatched]:
        """Yield what does not come, what is not told soon if it does not, and what comes and nobody knows."""
        yield from self.unknown.not_watched()
        yield from self.uptake.not_watched(log_time)
        for kind, what, stream, limit in (
            (Unwatched.PREDICTIONS, NO_PREDICTIONS, self.predictions, limits.no_predictions_ms),
            (Unwatched.LABELS, NO_LABELS, self.labels, limits.no_labels_ms),
        ):
            if what in self.incidents.open:
                why = self.incidents.open[what].watchdog
            elif not stream.rows:
                why = "none has come yet"
            elif limit is None and not stream.knows_week:
                why = "they have come for less than a week: a silence is told of after three days"
            else:
                continue
            yield NotWatched(kind=kind, what=kind.value, why=why)


@dataclass(frozen=True, slots=True)
class ModelWatchdog:
    """A model's state, under the definition of one of its versions."""

    state: ModelState
    watch: Watch | WarmingWatch
    outputs: Outputs
    code_version: str

    def take(self, block: Block, now: Now) -> list[Outgoing]:
        """Take one block of the model, after its watch took it."""
        told: list[Outgoing] = []
        if block.batch is None or block.rows == 0:
            return told
        self.state.uptake.take(block.stamp.config_version, now.log_time)
        if block.kind is BlockKind.SERVED:
            self.state.newest = place_of(block.batch, self.watch.rows_served - 1)
            self.state.predictions.arrive(block.rows, now.witnessed)
            self.state.labelling.serve(now.chain.shard, now.chain.seq, block.rows, now.witnessed)
            told += self._tell(self.state.incidents.well(NO_PREDICTIONS), now)
            told += self._columns(block.batch, now) if isinstance(self.watch, WarmingWatch) else self._handed_over(now)
        elif block.kind is BlockKind.LABELLED:
            self.state.labels.arrive(block.rows, now.witnessed)
            self.state.labelling.label(now.chain.shard, _blocks(block.batch))
            told += self._tell(self.state.incidents.well(NO_LABELS), now)
        return told

    def look_for_silence(self, now: Now) -> list[Outgoing]:
        """Look whether rows that are due have come."""
        state, limits = self.state, self.watch.definition.spec.watchdog
        told: list[Outgoing] = []
        for what, stream, limit in (
            (NO_PREDICTIONS, state.predictions, limits.no_predictions_ms),
            (NO_LABELS, state.labels, limits.no_labels_ms),
        ):
            silence = stream.silence(now.witnessed, limit)
            if silence is not None and what not in state.incidents.open:
                told += self._amiss(what, _silent(what.removeprefix("no_"), silence), now)
        return told

    def look_for_labels(self, now: Now) -> list[Outgoing]:
        """Look whether as many predictions have their labels as is usual at their age; nobody misses a few of none."""
        told: list[Outgoing] = []
        for short in self.state.labelling.look(now.witnessed):
            if short is None:
                told += self._tell(self.state.incidents.well(FEW_LABELS), now)
            elif NO_LABELS not in self.state.incidents.open:
                told += self._amiss(FEW_LABELS, _few(short), now)
        return told

    def look_at_faults(self, faulted: Mapping[str, str], now: Now) -> list[Outgoing]:
        """Take which detectors have given up, and why."""
        told: list[Outgoing] = []
        for name, why in faulted.items():
            words = f"the detector {name} failed, and says no more: {why}"
            told += self._amiss(f"{FAULTED}{name}", Amiss(name, "faults", 1.0, 0.0, words), now)
        for what in [what for what in self.state.incidents.open if what.startswith(FAULTED)]:
            if what.removeprefix(FAULTED) not in faulted:
                told += self._tell(self.state.incidents.well(what), now)
        return told

    def look_at_input(self, named: str, halt: Halt | None, now: Now) -> list[Outgoing]:
        """Take that an input is not read, or None: it is."""
        what = f"{HALTED}{named}"
        if halt is None:
            return self._tell(self.state.incidents.well(what), now)
        return self._amiss(what, Amiss(named, "first_offset_not_read", float(halt.offset), 0.0, str(halt)), now)

    def hear(self, news: News, now: Now) -> list[Outgoing]:
        """Take what a consumer tells of the model."""
        if isinstance(news, UnknownFeatures):
            self.state.unknown.take(news, now.witnessed)
            return self.look_for_unknown(now)
        self.state.uptake.announce(news, now.log_time)
        return []

    def look_for_unknown(self, now: Now) -> list[Outgoing]:
        """Tell of features that no configuration knows, once and when others come, until they come no more."""
        definition, unknown = self.watch.definition, self.state.unknown
        unknown.forget({*definition.schema.features, *definition.spec.dimensions}, now.witnessed)
        if not unknown.count:
            return self._tell(self.state.incidents.well(UNKNOWN), now)
        found = Amiss(UNKNOWN, "unknown_features", float(unknown.count), 0.0, unknown.words)
        if UNKNOWN not in self.state.incidents.open:
            return self._amiss(UNKNOWN, found, now)
        culprit = found.culprit(self.state.newest.row)
        return self._tell(self.state.incidents.amend(UNKNOWN, found.words, culprit), now)

    def _columns(self, batch: pa.RecordBatch, now: Now) -> Iterator[Outgoing]:
        for seen in self.state.columns.take(batch, now.witnessed):
            what = f"{SCHEMA}{seen.feature}"
            if seen.words:
                found = Amiss(seen.feature, seen.statistic, seen.value, seen.limit, seen.words, rows=seen.rows)
                yield from self._amiss(what, found, now)
            else:
                yield from self._tell(self.state.incidents.well(what), now)

    def _handed_over(self, now: Now) -> Iterator[Outgoing]:
        """Leave columns to the checks of a model that has a baseline."""
        self.state.columns = ColumnShapes()
        for what in [what for what in self.state.incidents.open if what.startswith(SCHEMA)]:
            yield from self._tell(self.state.incidents.well(what), now)

    def _amiss(self, what: str, found: Amiss, now: Now) -> list[Outgoing]:
        newest = self.state.newest
        changed = self.state.incidents.amiss(
            what,
            found.words,
            incident_id(self._subject(), f"{WATCHDOG}\0{what}", now.chain.shard, now.chain.seq, newest.row),
            found.culprit(newest.row),
            newest,
            msgspec.structs.replace(newest, ts=format_ts(now.log_time)),
            found.chance,
        )
        return self._tell(changed, now)

    def _tell(self, changed: Changed | None, now: Now) -> list[Outgoing]:
        if changed is None:
            return []
        announcer = Announcer(self.outputs, self._subject())
        return announcer.tell(*changed, self.state.newest.row, {ALL: 1.0}, now.log_time)

    def _subject(self) -> Subject:
        watch = self.watch
        return subject_of(watch.definition, watch.model_version, watch.configuration_version, self.code_version)


def _silent(what: str, silence: Silence) -> Amiss:
    lasted, limit = format_duration(silence.lasted_ms), format_duration(silence.limit_ms)
    is_known = silence.chance_per_week < UNCALIBRATED
    usual = "which is not usual at this time of the week" if is_known else f"more than {limit}"
    return Amiss(
        what,
        "silence_seconds",
        silence.lasted_ms / 1_000,
        silence.limit_ms / 1_000,
        f"no {what} for {lasted}, {usual}",
        chance=silence.chance_per_week,
    )


def _few(short: Shortfall) -> Amiss:
    age = format_duration(short.age_ms)
    words = f"{short.share:.1%} of {short.rows:,} predictions have a label after {age}, {short.usual:.1%} is usual"
    return Amiss("labels", "labelled_share", short.share, short.least, words)


def _blocks(batch: pa.RecordBatch) -> list[tuple[int, int]]:
    """Return which blocks the predictions of a block of labels were in, and how many in each."""
    seqs, rows = np.unique(batch.column(SERVED_SEQ).to_numpy(zero_copy_only=False), return_counts=True)
    return list(zip(seqs.tolist(), rows.tolist(), strict=True))


def place_of(batch: pa.RecordBatch, row: int) -> Place:
    """Return where the last prediction of a block stands, which is the model version's `row`."""
    last = batch.num_rows - 1
    return Place(
        row=row,
        ts=format_ts(batch.column(TS)[last].as_py()),
        topic=batch.column(SRC_TOPIC)[last].as_py(),
        partition=batch.column(SRC_PARTITION)[last].as_py(),
        offset=batch.column(SRC_OFFSET)[last].as_py(),
    )
