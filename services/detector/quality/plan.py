"""How the blocks of one model become flags of its checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
import pyarrow as pa

from services.detector.baseline import Baseline, Column
from services.detector.quality.expected import Expected
from services.detector.quality.flags import NOTHING, Awaiting, Flags, Kind, Look, Looks, stale
from services.detector.quality.formats import times_of, wrong_in
from services.detector.quality.reference import Check, Statistic
from services.detector.quality.repeats import Contents, Repeats
from services.detector.signals.columns import by_text, is_number
from services.detector.signals.plan import Signals
from services.detector.structs import FloatArray, IntArray
from shared.events.block import FLAG_OUT_OF_RANGE, FLAG_TYPE_ERROR, FLAGS_PREFIX, TS
from shared.monitors import ModelSpec

FLAG_EXPLAINED = FLAG_TYPE_ERROR | FLAG_OUT_OF_RANGE


@dataclass(frozen=True, slots=True)
class Served:
    """One block of served rows, as checks see it."""

    batch: pa.RecordBatch
    signals: Signals
    times: IntArray  # stream time after each row
    amiss: Mapping[str, IntArray]  # column to its flags, where it has any

    @property
    def ts(self) -> IntArray:
        """Return the rows' own times."""
        return np.asarray(self.batch.column(TS).to_numpy(zero_copy_only=False), np.int64)


class PlanState(msgspec.Struct):
    """What checks of rows keep of those before."""

    repeats: Repeats
    awaiting: Awaiting


Fill = Callable[[Served, Flags], None]  # completes the flags [rows] of one check


class QualityPlan:
    """The checks of a baseline under one configuration."""

    def __init__(self, model: str, baseline: Baseline, spec: ModelSpec) -> None:
        self._baseline, self._spec = baseline, spec
        self._places = {column.name: place for place, column in enumerate(baseline.columns)}
        self._series = {baseline.columns[place].name: series for series, place in enumerate(baseline.numeric)}
        self._ranged = {place: number for number, place in enumerate(baseline.ranged, len(baseline.columns))}
        self._expected = Expected.of(model, spec, baseline.columns)
        self._expectations = {expectation.text: expectation for expectation in self._expected.of_numbers}
        self._repeats, self._awaiting = Repeats(), Awaiting()
        self._contents = Contents.of(baseline.columns)
        self._checks = baseline.quality.checks
        looks = [(at, look) for at, check in enumerate(self._checks) if (look := self._look(check)) is not None]
        self._looked, self._looks = [at for at, _ in looks], Looks.of([look for _, look in looks])
        self._fills = [(at, fill) for at, check in enumerate(self._checks) if (fill := self._fill(check)) is not None]
        self._flagged = self._of_flagged_columns()
        places = {check.feature: at for at, check in enumerate(self._checks) if check.statistic is Statistic.BROKEN}
        self._of_times = [places[expectation.text] for expectation in self._expected.of_times]

    def read(self, batch: pa.RecordBatch, signals: Signals, times: IntArray) -> Flags:
        """Return the flags of served rows, [checks, rows]; they are asked for once, in order."""
        found = np.zeros((len(self._checks), batch.num_rows), np.int8)
        found[self._looked] = self._looks.read(signals.codes, signals.values)
        prefixed = [name for name in batch.schema.names if name.startswith(FLAGS_PREFIX)]
        amiss = {
            name.removeprefix(FLAGS_PREFIX): batch.column(name).to_numpy(zero_copy_only=False) for name in prefixed
        }
        served = Served(batch, signals, times, amiss)
        for at, fill in self._fills:
            fill(served, found[at])
        if self._of_times:
            found[self._of_times] = self._expected.broken(self._times(batch))
        for name in amiss:
            for at, fill in self._flagged.get(name, ()):
                fill(served, found[at])
        return found

    def _look(self, check: Check) -> Look | None:
        """Return how the flags of a check are read from signals; None where they are not."""
        if check.statistic is Statistic.BROKEN:
            expectation = self._expectations.get(check.feature)
            return None if expectation is None else Look.for_broken(expectation, self._series)
        if check.feature not in self._places:
            return None
        place, quality = self._places[check.feature], self._baseline.quality
        column = self._baseline.columns[place]
        match check.statistic:
            case Statistic.MISSING:
                return Look.for_missing(column, place)
            case Statistic.NEW_CATEGORY:
                return Look.for_unseen(column, place)
            case Statistic.OUT_OF_RANGE:
                return Look(Kind.OF_CODE, self._ranged[place], code=1)
            case Statistic.OUTLIER:
                low, high = float(quality.low[place]), float(quality.high[place])
                return Look(Kind.OUTSIDE, self._series[column.name], low=low, high=high)
            case _:
                return None

    def _fill(self, check: Check) -> Fill | None:
        """Return what gives the flags of a check that need more than signals; None where none do."""
        match check.statistic:
            case Statistic.DUPLICATE:
                return self._again
            case Statistic.STALE:
                return lambda served, found: np.copyto(found, stale(served.ts, served.times))
            case Statistic.EARLY:
                return lambda served, found: np.copyto(found, self._awaiting.early(served.ts, served.times))
            case Statistic.FORMAT_ERROR:
                column = self._baseline.columns[self._places[check.feature]]
                wrong = wrong_in(self._spec.features[check.feature])
                return None if wrong is None else partial(_check_format, column, wrong)
            case _:
                return None

    def _of_flagged_columns(self) -> dict[str, list[tuple[int, Fill]]]:
        """Return what is told of a column by the flags that its block brings."""
        found: dict[str, list[tuple[int, Fill]]] = {}
        for at, check in enumerate(self._checks):
            fill = _FLAGGED.get(check.statistic)
            if fill is not None:
                found.setdefault(check.feature, []).append((at, _of(fill, check.feature)))
        return found

    def _times(self, batch: pa.RecordBatch) -> FloatArray:
        """Return the times of the columns that are compared as such, [rows, columns]."""
        found = np.full((batch.num_rows, len(self._expected.times)), np.nan)
        for at, name in enumerate(self._expected.times):
            texts = _texts(self._baseline.columns[self._places[name]], batch)
            if texts is not None:
                found[:, at] = by_text(texts, times_of, np.array([np.nan]))
        return found

    def _again(self, served: Served, found: Flags) -> None:
        hashes, is_empty = self._contents.hashes(served.signals.codes, served.signals.values)
        found[:] = self._repeats.flags(hashes, is_empty)

    def snapshot(self) -> PlanState:
        """Return what is kept between blocks."""
        return PlanState(self._repeats, self._awaiting)

    def restore(self, state: PlanState) -> None:
        """Become what gave the snapshot."""
        self._repeats, self._awaiting = state.repeats, state.awaiting


def _of_another_type(amiss: IntArray, found: Flags) -> None:
    found[(amiss & FLAG_TYPE_ERROR) != 0] = 1


def _unless_explained(amiss: IntArray, found: Flags) -> None:
    """Leave out what is missing for another reason that is told of: rows that have one are no event."""
    found[(amiss & FLAG_EXPLAINED) != 0] = NOTHING


_FLAGGED = {Statistic.TYPE_ERROR: _of_another_type, Statistic.MISSING: _unless_explained}


def _of(fill: Callable[[IntArray, Flags], None], name: str) -> Fill:
    return lambda served, found: fill(served.amiss[name], found)


def _texts(column: Column, batch: pa.RecordBatch) -> pa.Array | None:
    """Return a column's texts; None where a block has none of it, or numbers."""
    given = batch.column(column.source) if column.source in batch.schema.names else None
    return None if given is None or is_number(given.type) else given


def _check_format(column: Column, wrong: Callable[[list[str]], Flags], served: Served, found: Flags) -> None:
    texts = _texts(column, served.batch)
    found[:] = NOTHING if texts is None else by_text(texts, wrong, np.array([NOTHING], np.int8))
