"""Data quality of one model version: flags of served rows, and windows of segments, against the reference's shares.

On all traffic every share has a CUSUM, which is fast; in segments an exact binomial test compares the rows of a window
that are amiss with the largest share of the cell's own windows in the reference. Categories that come no more are told
of in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
from scipy.special import bdtrc

from services.detector import budget
from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.baseline import ALL, WINDOW_SEGMENT, Baseline, Column, window_rows
from services.detector.incidents.quality import Changed, QualityIncidents, series_of
from services.detector.quality.build import OF_ALL_TRAFFIC, bank_of
from services.detector.quality.counts import CellCounts, ClosedCounts
from services.detector.quality.flags import NOTHING, ROWS, Flags
from services.detector.quality.plan import PlanState, QualityPlan
from services.detector.quality.reference import AFTER_DRIFT, MIN_ROWS_AMISS, Statistic, gates_of
from services.detector.quality.vanished import EXPECTED, Event, VanishedBank, VanishedState, least_share, why_not
from services.detector.rules.watch import Moment
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.statistics.arrays import BoolArray
from services.detector.statistics.proportions import standard_error
from services.detector.structs import IntArray
from services.detector.window_rows import Span
from shared.events.alert import Bin, Culprit
from shared.monitors import ModelSpec

DETECTOR = "quality"
ALTERNATIVES = 3


@dataclass(frozen=True, slots=True)
class Amiss:
    """At one served row, a share that is no longer usual."""

    row: int
    culprit: Culprit
    chance_per_week: float


@dataclass(frozen=True, slots=True)
class Looked:
    """At one served row, the end of a cell's window: which shares are as usual."""

    row: int
    cell: int
    is_calm: BoolArray  # [checks]


@dataclass(frozen=True, slots=True)
class Missed:
    """At one served row, a category that comes no more, or does again."""

    row: int
    cell: int
    slot: int
    culprit: Culprit | None  # None: it is there again


Told: TypeAlias = "Amiss | Looked | Missed"


class QualityState(msgspec.Struct):
    """The state: the bank, the open windows of cells, the rows that may come again, and when categories came last."""

    bank: bytes
    incidents: QualityIncidents
    plan: PlanState
    counts: CellCounts
    vanished: VanishedState


class QualityWatch:
    """All checks of one model version."""

    def __init__(self, model: str, baseline: Baseline, spec: ModelSpec) -> None:
        self._baseline = baseline
        self._plan = QualityPlan(model, baseline, spec)
        self._checks = baseline.quality.checks
        self._may_page = np.array([not check.reason for check in self._checks], np.bool_)
        self._is_in_cells = np.array([not check.reason and check.is_in_cells for check in self._checks], np.bool_)
        share = budget.shares(spec.alerts.false_pages_per_month).data_quality
        pace = baseline.rows_per_week or float(baseline.rows)
        self._updates = max(pace * len(self._checks), 1.0)
        self._bank = bank_of(self._checks, OF_ALL_TRAFFIC * share, pace)
        in_cells = pace * float(baseline.cell_rows[1:].sum()) / max(baseline.rows, 1) / WINDOW_SEGMENT
        self._tests = max(in_cells * int(self._is_in_cells.sum()), 1e-9)
        self._level = min((1.0 - OF_ALL_TRAFFIC) * share / self._tests, 1e-3)
        self._p0 = baseline.quality.p0
        self._gates = gates_of(self._p0)
        sizes = np.array([window_rows(cell) for cell in range(len(baseline.cells))], np.int64)
        self._counts = CellCounts.of(sizes, len(self._checks))
        self._usual = baseline.quality.usual
        self._vanished = VanishedBank(baseline.columns, self._usual)
        self._gone: set[tuple[int, int]] = set()  # cells and slots, up to the row whose finding was taken last
        self._missing_chance = min(pace * self._usual.limit.size * math.exp(-EXPECTED), 1.0)
        self.incidents = QualityIncidents()

    @property
    def why_not(self) -> dict[str, str]:
        """Return the shares that do not page, with the reason."""
        return why_not(self._baseline.quality, self._baseline.columns)

    def served(self, batch: pa.RecordBatch, signals: Signals, times: IntArray, first_row: int) -> list[Told]:
        """Fold served rows, the first of which is the model's row `first_row`; what was found, in row order."""
        flags = self._plan.read(batch, signals, times)
        found: list[Told] = [*self._fired(flags, first_row)]
        events = self._vanished.take(signals.codes, signals.cells, first_row)
        found += [self._missed(event, first_row) for event in events]
        for closed in self._counts.take(flags, signals.cells, first_row):
            found += self._judged(closed)
        return sorted(found, key=lambda amiss: amiss.row)  # stable: what broke comes before what is usual again

    def take(self, found: Told, moment: Moment, is_drifting: Callable[[str], bool] = lambda _: False) -> list[Changed]:
        """Take what was found at a row into the incidents; `is_drifting`: an incident of drift names the column."""
        if isinstance(found, Looked):
            return self._look(found)
        chance = self._missing_chance if isinstance(found, Missed) else found.chance_per_week
        culprit = found.culprit
        if isinstance(found, Missed):
            (self._gone.discard if culprit is None else self._gone.add)((found.cell, found.slot))
        if culprit is None:
            return []
        if culprit.statistic in AFTER_DRIFT and any(map(is_drifting, self._columns_of(culprit.feature))):
            return []
        family = f"{DETECTOR}\0{culprit.feature}\0{culprit.segment}\0{culprit.statistic}"
        changed = self.incidents.detect(
            moment.incident_id(family),
            culprit,
            moment.place(culprit.onset_row),
            moment.place(moment.row),
            chance,
        )
        return [] if changed is None else [changed]

    def _look(self, found: Looked) -> list[Changed]:
        if not self.incidents.open:
            return []
        segment = self._baseline.cells[found.cell]
        looks = [
            self.incidents.look(series_of(check.feature, segment, check.statistic), is_calm=is_calm)
            for check, is_calm in zip(self._checks, found.is_calm.tolist(), strict=True)
        ]
        for slot in np.flatnonzero(self._usual.limit[found.cell]).tolist():
            column, level = self._category(slot)
            series = series_of(column.name, segment, Statistic.VANISHED, level)
            looks.append(self.incidents.look(series, is_calm=(found.cell, slot) not in self._gone))
        return [changed for changed in looks if changed is not None]

    def _category(self, slot: int) -> tuple[Column, str]:
        column = self._baseline.columns[int(self._usual.place[slot])]
        return column, column.levels[int(self._usual.code[slot])]

    def _missed(self, event: Event, first_row: int) -> Missed:
        """Return what is told of a category: how many rows of the reference had it, and the rows that have not."""
        row, (column, level) = first_row + event.row, self._category(event.slot)
        if not event.is_gone:
            return Missed(row, event.cell, event.slot, None)
        counts = column.counts[event.cell]
        count, rows = int(counts[column.levels.index(level)]), int(counts.sum())
        culprit = Culprit(
            feature=column.name,
            segment=self._baseline.cells[event.cell],
            detector=DETECTOR,
            statistic=Statistic.VANISHED.value,
            value=count / rows,
            noise_floor=standard_error(count, rows),
            threshold=least_share(event.cell),
            p_value=None,
            window_rows=event.run,
            window_start_row=event.last_row + 1,
            window_end_row=row,
            onset_row=event.last_row + 1,
            bins=[Bin(name=level, count=0, reference_count=count, contribution=count / rows)],
        )
        return Missed(row, event.cell, event.slot, culprit)

    def _columns_of(self, feature: str) -> list[str]:
        return [column.name for column in self._baseline.columns] if feature == ROWS else [feature]

    def _fired(self, flags: Flags, first_row: int) -> Iterator[Amiss]:
        is_set = (flags == 1).any(axis=1)
        followed = np.flatnonzero((is_set | ~self._bank.is_idle) & self._may_page)  # of others nothing would change
        if not followed.size:
            return
        given = flags[followed]
        found = self._bank.update_some(np.where(given == NOTHING, np.nan, given), followed)
        for i in range(len(found)):
            check, rows, share = self._checks[int(found.series[i])], int(found.events[i]), float(found.mean[i])
            count, row = round(share * rows), first_row + int(found.row[i])
            if share >= check.gate and count >= MIN_ROWS_AMISS:
                named = Named(check.feature, ALL, check.statistic)
                culprit = named.culprit(count, rows, check.gate, Span(max(row - rows + 1, 0), row))
                chance = budget.likelihood_chance(float(found.statistic[i]), self._updates, ALTERNATIVES)
                yield Amiss(row, culprit, chance)

    def _judged(self, closed: ClosedCounts) -> Iterator[Amiss | Looked]:
        """Yield what a closed window shows: of a segment, what broke in it, and of every cell, what is as usual."""
        p0, gates = self._p0[:, closed.cell], self._gates[:, closed.cell]
        shares = closed.amiss / np.maximum(closed.known, 1)
        if closed.cell != 0:
            is_amiss = (closed.amiss >= MIN_ROWS_AMISS) & (shares >= gates) & self._is_in_cells
            for at in np.flatnonzero(is_amiss).tolist():
                check, count, rows = self._checks[at], int(closed.amiss[at]), int(closed.known[at])
                chance = float(bdtrc(count - 1, rows, p0[at]))
                if chance < self._level:
                    named = Named(check.feature, self._baseline.cells[closed.cell], check.statistic)
                    culprit = named.culprit(count, rows, float(gates[at]), closed.span)
                    yield Amiss(closed.span.last, culprit, chance * self._tests)
        yield Looked(closed.span.last, closed.cell, (closed.known > 0) & (shares < (p0 + gates) / 2.0))

    def snapshot(self) -> QualityState:
        """Return the state."""
        kept = self.incidents, self._plan.snapshot(), self._counts, self._vanished.state
        return QualityState(save(self._bank), *kept)

    def restore(self, state: QualityState) -> None:
        """Become what gave the snapshot."""
        self._bank, self.incidents = load(BernoulliCusumBank, state.bank), state.incidents
        self._plan.restore(state.plan)
        self._counts, self._vanished.state = state.counts, state.vanished
        self._gone = {(cell, slot) for cell, slot in np.argwhere(state.vanished.is_gone).tolist()}


class Named(NamedTuple):
    """One share of one cell."""

    feature: str
    segment: str
    statistic: Statistic

    def culprit(self, count: int, rows: int, gate: float, span: Span) -> Culprit:
        """Return it as an incident names it."""
        return Culprit(
            feature=self.feature,
            segment=self.segment,
            detector=DETECTOR,
            statistic=self.statistic.value,
            value=count / rows,
            noise_floor=standard_error(count, rows),
            threshold=gate,
            p_value=None,
            window_rows=rows,
            window_start_row=span.first,
            window_end_row=span.last,
            onset_row=span.first,
            bins=[],
        )
