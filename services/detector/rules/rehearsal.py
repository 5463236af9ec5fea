"""Rules on the reference's own windows: how often each would have fired where nothing was wrong.

Windows are cut in time order and seen by the same fold as live ones. Each is compared with the rest of the reference,
as in the self-test: with itself on both sides every distance would be too small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import msgspec
import numpy as np

from services.detector.banks.closed_windows import ClosedWindows
from services.detector.baseline import ALL, Baseline
from services.detector.judge import Judge
from services.detector.pairs.rehearsal import own_windows
from services.detector.reference_batches import a_month, reference_batches
from services.detector.reference_table import ReferenceTable
from services.detector.report import WindowRow
from services.detector.rules.binding import BoundRule, own_rows
from services.detector.rules.fold import RuleFold, Turn
from services.detector.rules.readings import Readings, readings_of
from services.detector.rules.windows import RuleWindows, Seen
from services.detector.signals.plan import SignalPlan
from services.detector.stream_time import StreamTime
from services.detector.window_rows import WindowRows
from shared.events.alert import Severity
from shared.events.block import TS
from shared.rules import Every


class Rehearsal(msgspec.Struct, kw_only=True):
    """What one rule did on the reference. A window counts once for each column that the rule watches."""

    rule: str
    severity: Severity
    looks_at: str = "window"
    is_held: bool = True  # the reference holds the segment
    windows: int = 0  # that knew the statistic
    met: int = 0  # of these, what the rule is there for
    fired: int = 0  # times that a column fired, and so was told
    incidents: int = 0  # in which these were told
    fired_a_month: float | None = None  # at the pace of the reference; None where nothing tells it


def rehearse(rules: Sequence[BoundRule], baseline: Baseline, reference: ReferenceTable) -> list[Rehearsal]:
    """Return what each rule would have done on the reference that the baseline is of."""
    if not rules:
        return []
    rehearsals = [
        Rehearsal(rule=bound.rule.text, severity=bound.rule.severity, is_held=bound.cell is not None) for bound in rules
    ]
    fold = RuleFold(rules)
    for first_row, every, readings in _windows(rules, baseline, reference):
        _count(rehearsals, rules, fold, first_row, every, readings)
    for rehearsal in rehearsals:
        rehearsal.fired_a_month = a_month(rehearsal.fired, baseline, baseline.rows)
    return rehearsals


def _windows(
    rules: Sequence[BoundRule], baseline: Baseline, reference: ReferenceTable
) -> Iterator[tuple[int, Every, Readings]]:
    """Yield each window's first row, its kind and what it says: those of columns, then those of pairs."""
    statistics = {bound.rule.condition.statistic for bound in rules}
    plan, stream, first_row = SignalPlan(baseline), StreamTime(), 0
    held = [(bound.cell, bound.every) for bound in rules if bound.cell is not None and not bound.is_of_pairs]
    windows = RuleWindows(baseline, held)
    cells = {cell: _Cell(baseline, cell) for cell, _ in held}
    for batch in reference_batches(reference):
        times = stream.advance(batch.column(TS).to_numpy())
        for seen in windows.served(plan.served(batch), times, first_row):
            rows = cells[int(seen.window.cell[0])].against_the_rest(seen)
            yield rows[0].first_served_row, seen.every, readings_of(rows, statistics)
        first_row += batch.num_rows
    if any(bound.is_of_pairs for bound in rules):
        for start_row, deltas in own_windows(baseline, reference):
            yield start_row, Every(events=own_rows(ALL)), {(pair, ALL): found for pair, found in deltas.items()}


def _count(
    rehearsals: list[Rehearsal],
    rules: Sequence[BoundRule],
    fold: RuleFold,
    first_row: int,
    every: Every,
    readings: Readings,
) -> None:
    for rehearsal, bound in zip(rehearsals, rules, strict=True):
        met = [is_met for _, _, is_met in bound.found(readings, every)]
        rehearsal.windows += len(met)
        rehearsal.met += sum(met)
    before = [fold.is_firing(place) for place in range(len(rules))]
    fired = [turned.rule for turned in fold.take(readings, every, first_row) if turned.turn is Turn.FIRED]
    for place in fired:
        rehearsals[place].fired += 1
    for place in set(fired):
        rehearsals[place].incidents += not before[place]


class _Cell:
    """One cell of a baseline on its own, of which the rows of one window at a time can be left out."""

    def __init__(self, baseline: Baseline, cell: int) -> None:
        arming, own = baseline.arming, slice(cell, cell + 1)
        self._baseline = msgspec.structs.replace(
            baseline,
            columns=[
                msgspec.structs.replace(
                    column,
                    counts=column.counts[own].copy(),
                    missing=column.missing[own],
                    grid_counts=column.grid_counts[own].copy(),
                )
                for column in baseline.columns
            ],
            cells=[baseline.cells[cell]],
            cell_rows=baseline.cell_rows[own],
            arming=msgspec.structs.replace(
                arming,
                reason=arming.reason[:, own],
                phi=arming.phi[:, own],
                peak=arming.peak[:, own],
                unsteady=arming.unsteady[:, own],
            ),
        )
        self._rows = WindowRows(self._baseline, "")

    def against_the_rest(self, seen: Seen) -> list[WindowRow]:
        """Return the rows of a window of the reference, compared with all other rows."""
        window = replace(seen.window, cell=np.zeros(1, np.int64))
        with self._without(window):
            return list(self._rows.of(Judge(self._baseline).judge(window), 0, seen.span))

    @contextmanager
    def _without(self, window: ClosedWindows) -> Iterator[None]:
        self._add(window, -1)
        yield
        self._add(window, 1)

    def _add(self, window: ClosedWindows, times: int) -> None:
        for place, column in enumerate(self._baseline.columns):
            column.counts[...] += times * window.counts_of(place)
            column.grid_counts[...] += times * window.grid_of(place)
