"""The rules about metrics of one model version: final cohorts in, changes of their incidents out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec

from services.detector.baseline import Baseline
from services.detector.degradation.binding import BoundDegradation, bind_degradation, why_never
from services.detector.degradation.fold import DegradationFold, DegradationState, Fallen
from services.detector.incidents.rules import RuleIncidents
from services.detector.report import CohortRow
from services.detector.rules.fold import Turn
from services.detector.rules.watch import DETECTOR, Changed, Moment
from shared.definition import Definition
from shared.events.alert import Culprit, IncidentKind


class DegradationWatchState(msgspec.Struct):
    """What is kept of the rules."""

    fold: DegradationState
    incidents: RuleIncidents


class DegradationWatch:
    """Tells by incidents of their own where metrics are worse than people allow. What is calibrated does not see it."""

    def __init__(self, rules: Sequence[BoundDegradation], baseline: Baseline) -> None:
        self._rules = rules
        self._fold = DegradationFold(rules, baseline.cells)
        self.incidents = RuleIncidents()

    @classmethod
    def of(cls, definition: Definition, baseline: Baseline) -> Self:
        """Return the watch of a model's rules."""
        return cls(bind_degradation(definition.model, definition.spec, baseline), baseline)

    @property
    def why_not(self) -> dict[str, str]:
        """Return the rules that never fire, with the reason."""
        return {bound.rule.text: why for bound in self._rules if (why := why_never(bound))}

    def watches(self, segment: str) -> bool:
        """Tell whether any rule looks at a segment."""
        return self._fold.watches(segment)

    def final(self, row: CohortRow, first_row: int, moment: Moment) -> list[Changed]:
        """Take a final cohort, which began at a served row of the model; return changes of incidents, in rule order."""
        found = self._fold.take(row, first_row)
        changes = (self._change(row, first_row, fallen, moment) for fallen in found)
        return [change for change in changes if change is not None]

    def _change(self, row: CohortRow, first_row: int, fallen: Fallen, moment: Moment) -> Changed | None:
        if fallen.turn is Turn.CLEARED:
            return None if self._fold.is_firing(fallen.rule) else self.incidents.resolve(fallen.rule)
        rule = self._rules[fallen.rule].rule
        return self.incidents.fire(
            fallen.rule,
            rule,
            moment.incident_id(f"degradation {rule.text}"),
            [_culprit(rule.metric, row, first_row, fallen, moment.row)],
            moment.place(fallen.since),
            moment.place(moment.row),
            [IncidentKind.PERFORMANCE_DEGRADATION],
        )

    def gone(self, segment: str) -> list[Changed]:
        """Take that a segment has no cohorts any longer; return the changes of incidents."""
        changes = (self.incidents.resolve(place) for place in self._fold.forget(segment))
        return [change for change in changes if change is not None]

    def snapshot(self) -> DegradationWatchState:
        """Return the state."""
        return DegradationWatchState(self._fold.state, self.incidents)

    def restore(self, state: DegradationWatchState) -> None:
        """Become what gave the snapshot."""
        self._fold.state, self.incidents = state.fold, state.incidents


def _culprit(metric: str, row: CohortRow, first_row: int, fallen: Fallen, last_row: int) -> Culprit:
    judged = fallen.judged
    return Culprit(
        feature=metric,
        segment=row.segment,
        detector=DETECTOR,
        statistic=metric,
        value=judged.value,
        noise_floor=judged.error,
        threshold=judged.limit,
        p_value=judged.p_value,
        window_rows=row.n_labelled,
        window_start_row=first_row,
        window_end_row=max(last_row, first_row),
        onset_row=fallen.since,
        bins=[],
    )
