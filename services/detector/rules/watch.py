"""The rules of one model version: closed windows in, changes of their incidents out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np

from services.detector.baseline import Baseline
from services.detector.incidents.drift import Change
from services.detector.incidents.incident import OpenIncident
from services.detector.incidents.rules import RuleIncidents
from services.detector.judge import Judge
from services.detector.report import WindowRow
from services.detector.rules.binding import BoundRule, own_rows
from services.detector.rules.fold import RuleFold, RuleState, Turn, Turned
from services.detector.rules.readings import readings_of
from services.detector.rules.windows import RuleWindows, Seen, WindowsState
from services.detector.signals.plan import Signals
from services.detector.statistics.distances import psi_contributions
from services.detector.structs import IntArray
from services.detector.window_rows import WindowRows
from shared.events.alert import Bin, Culprit, Place
from shared.rules import Every

Changed = tuple[Change, OpenIncident]

_OF_PARTS = ("psi", "psi_debiased", "psi_floor")  # statistics that are sums over the bins
DETECTOR = "rule"


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a window closed."""

    row: int  # the model's served row that closed it
    place: Callable[[int], Place]  # of a served row
    incident_id: Callable[[str], str]  # of a family of incidents that open here


class RuleWatchState(msgspec.Struct):
    """What is kept of the rules."""

    fold: RuleState
    incidents: RuleIncidents
    windows: list[WindowsState]


class RuleWatch:
    """Tells by incidents of their own what rules find. They neither see nor touch what is calibrated."""

    def __init__(self, rules: Sequence[BoundRule], baseline: Baseline, version: str) -> None:
        self._rules = rules
        self._fold = RuleFold(rules)
        self._statistics = {bound.rule.condition.statistic for bound in rules}
        self._of_detection = {bound.segment for bound in rules if bound.every == _own(bound.segment)}
        self._windows = RuleWindows(
            baseline,
            [(b.cell, b.every) for b in rules if b.cell is not None and b.every != _own(b.segment)],
        )
        self._baseline, self._version = baseline, version
        self.incidents = RuleIncidents()

    @cached_property
    def _judge(self) -> Judge:
        return Judge(self._baseline)

    @cached_property
    def _rows(self) -> WindowRows:
        return WindowRows(self._baseline, self._version)

    def served(self, signals: Signals, times: IntArray, first_row: int) -> list[Seen]:
        """Count served rows, with stream time after each; return what they closed beside detection's windows."""
        return self._windows.served(signals, times, first_row)

    def seen(self, seen: Seen, moment: Moment) -> list[Changed]:
        """Take one of the windows of `served`; return the changes of incidents, in rule order."""
        return self._look(self._rows.of(self._judge.judge(seen.window), 0, seen.span), seen.every, moment)

    def closed(self, segment: str, rows: Callable[[], Iterable[WindowRow]], moment: Moment) -> list[Changed]:
        """Take a window of detection's; return the changes of incidents, in rule order.

        rows: gives the window's rows, and is asked only where a rule watches the segment.
        """
        if segment not in self._of_detection:
            return []
        return self._look(rows(), _own(segment), moment)

    def _look(self, window: Iterable[WindowRow], every: Every, moment: Moment) -> list[Changed]:
        rows = list(window)
        by_rule: dict[int, list[Turned]] = {}
        for turned in self._fold.take(readings_of(rows, self._statistics), every, rows[0].first_served_row):
            by_rule.setdefault(turned.rule, []).append(turned)
        changes = (self._change(rule, turned, rows, moment) for rule, turned in by_rule.items())
        return [change for change in changes if change is not None]

    def _change(
        self, place: int, turned: Sequence[Turned], rows: Sequence[WindowRow], moment: Moment
    ) -> Changed | None:
        bound = self._rules[place]
        met = [one for one in turned if one.turn is not Turn.CLEARED]
        if not met:
            return None if self._fold.is_firing(place) else self.incidents.resolve(place)
        culprits = [_culprit(bound, one, rows) for one in met]
        return self.incidents.fire(
            place,
            bound.rule,
            moment.incident_id(f"rule {bound.rule.text}"),
            culprits,
            moment.place(min(one.since for one in met)),
            moment.place(moment.row),
        )

    def gone(self, segment: str) -> list[Changed]:
        """Take that a segment has no windows any longer; return the changes of incidents."""
        places = [place for place, bound in enumerate(self._rules) if bound.segment == segment]
        for place in places:
            self._fold.state.standings[place] = {}
        changes = (self.incidents.resolve(place) for place in places)
        return [change for change in changes if change is not None]

    def snapshot(self) -> RuleWatchState:
        """Return the state."""
        return RuleWatchState(self._fold.state, self.incidents, self._windows.snapshot())

    def restore(self, state: RuleWatchState) -> None:
        """Become what gave the snapshot."""
        self._fold.state, self.incidents = state.fold, state.incidents
        self._windows.restore(state.windows)


def _own(segment: str) -> Every:
    return Every(events=own_rows(segment))


def _culprit(bound: BoundRule, turned: Turned, rows: Sequence[WindowRow]) -> Culprit:
    statistic, limit = bound.rule.condition.statistic, bound.limits[turned.column]
    row = next(row for row in rows if row.signal == turned.column)
    is_of_parts = statistic in _OF_PARTS
    return Culprit(
        feature=turned.column,
        segment=bound.segment,
        detector=DETECTOR,
        statistic=statistic,
        value=turned.value,
        noise_floor=(row.noise_floor or 0.0) if is_of_parts else 0.0,
        threshold=limit,
        p_value=turned.value if statistic.endswith("_pvalue") else None,
        window_rows=row.window_end_row - row.window_start_row + 1,
        window_start_row=row.first_served_row,
        window_end_row=row.last_served_row,
        onset_row=turned.since,
        bins=_bins(row) if is_of_parts else [],
    )


def _bins(row: WindowRow) -> list[Bin]:
    parts = psi_contributions(np.array(row.counts), np.array(row.reference_counts)).tolist()
    return [
        Bin(name=name, count=count, reference_count=before, contribution=part)
        for name, count, before, part in zip(row.bins, row.counts, row.reference_counts, parts, strict=True)
    ]
