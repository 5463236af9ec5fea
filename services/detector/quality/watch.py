"""Data quality of one model version: flags of served rows, and windows of segments, against the reference's shares.

On all traffic every share has a CUSUM, which is fast; in segments an exact binomial test compares the rows of a window
that are amiss with the largest share of the cell's own windows in the reference. Categories that come no more are told
of in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import msgspec
import numpy as np
import pyarrow as pa

from services.detector import budget
from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.baseline import ALL, Baseline, Column
from services.detector.incidents.quality import Changed, QualityIncidents, series_of
from services.detector.quality.build import OF_ALL_TRAFFIC, bank_of
from services.detector.quality.cells import CellsState, CellWatch
from services.detector.quality.flags import NOTHING, ROWS, Flags
from services.detector.quality.found import DETECTOR, Amiss, Looked, Missed, Named, Told
from services.detector.quality.plan import PlanState, QualityPlan
from services.detector.quality.reference import AFTER_DRIFT, MIN_ROWS_AMISS, Statistic
from services.detector.quality.vanished import (
    EXPECTED,
    WINDOWS,
    Event,
    VanishedBank,
    VanishedState,
    least_share,
    why_not,
)
from services.detector.rules.watch import Moment
from services.detector.segments import Memberships
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.statistics.proportions import standard_error
from services.detector.structs import IntArray
from services.detector.window_rows import Span
from shared.events.alert import Bin, Culprit
from shared.monitors import ModelSpec

ALTERNATIVES = 3


class QualityState(msgspec.Struct):
    """The state: the bank, the open windows of cells, the rows that may come again, and when categories came last."""

    bank: bytes
    incidents: QualityIncidents
    plan: PlanState
    cells: CellsState
    vanished: VanishedState


class QualityWatch:
    """All checks of one model version."""

    def __init__(self, model: str, baseline: Baseline, spec: ModelSpec) -> None:
        self._baseline = baseline
        self._plan = QualityPlan(model, baseline, spec)
        self._checks = baseline.quality.checks
        self._may_page = np.array([not check.reason for check in self._checks], np.bool_)
        share = budget.shares(spec.alerts.false_pages_per_month).data_quality
        pace = baseline.rows_per_week or float(baseline.rows)
        self._updates = max(pace * len(self._checks), 1.0)
        self._bank = bank_of(self._checks, OF_ALL_TRAFFIC * share, pace)
        self._cells = CellWatch(baseline, spec)
        self._usual = baseline.quality.usual
        self._vanished = VanishedBank(baseline.columns, self._usual)
        self._gone: set[tuple[int, int]] = set()  # cells and slots, up to the row whose finding was taken last
        self._missing_chance = min(pace * self._usual.limit.size * math.exp(-WINDOWS * EXPECTED), 1.0)
        self.incidents = QualityIncidents()

    @property
    def why_not(self) -> dict[str, str]:
        """Return the shares that do not page, with the reason."""
        return why_not(self._baseline.quality, self._baseline.columns)

    def begin(self, cells: Iterable[tuple[int, str]]) -> None:
        """Take that the log brings cells, by number and name."""
        for cell, name in cells:
            self._cells.begin(cell, name)

    def end(self, cell: int) -> list[Changed]:
        """Take that a cell that the log brought is forgotten: what it alone was told for is over."""
        name = self._cells.name(cell)
        self._cells.end(cell)
        return self.incidents.gone(name)

    def served(
        self, batch: pa.RecordBatch, signals: Signals, cells: Memberships, times: IntArray, first_row: int
    ) -> list[Told]:
        """Fold served rows, the first of which is the model's row `first_row`; what was found, in row order.

        cells: those of the baseline, and behind them those that the log brought.
        """
        flags = self._plan.read(batch, signals, times)
        found: list[Told] = [*self._fired(flags, first_row)]
        events = self._vanished.take(signals.codes, signals.cells, first_row)
        found += [self._missed(event, first_row) for event in events]
        found += self._cells.take(flags, cells, first_row)
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
        segment = self._cells.name(found.cell)
        looks = []
        for at, is_calm in found.calm():
            series = series_of(self._checks[at].feature, segment, self._checks[at].statistic)
            looks.append(self.incidents.look(series, is_calm=is_calm))
        limits = self._usual.limit[found.cell] if found.cell < len(self._usual.limit) else np.zeros(0, np.int32)
        for slot in np.flatnonzero(limits).tolist():
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

    def snapshot(self) -> QualityState:
        """Return the state."""
        kept = self.incidents, self._plan.snapshot(), self._cells.state, self._vanished.state
        return QualityState(save(self._bank), *kept)

    def restore(self, state: QualityState) -> None:
        """Become what gave the snapshot."""
        self._bank, self.incidents = load(BernoulliCusumBank, state.bank), state.incidents
        self._plan.restore(state.plan)
        self._cells.state, self._vanished.state = state.cells, state.vanished
        self._gone = {(cell, slot) for cell, slot in np.argwhere(state.vanished.is_gone).tolist()}
