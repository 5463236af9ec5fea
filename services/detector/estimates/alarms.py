"""An early warning as an incident of its own, where people ask for it: no label has a part in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from services.detector.baseline import ALL
from services.detector.estimates.expected import PREFIX
from services.detector.estimates.judging import COMPARED, WARNS, WORSE
from services.detector.estimates.reference import EstimateReference
from services.detector.incidents.culprits import since_onset
from services.detector.incidents.rules import RuleIncidents
from services.detector.report import EstimateRow
from services.detector.rules.watch import DETECTOR, Changed, Moment
from shared.events.alert import Culprit, IncidentKind, Severity

CALM = 3  # cohorts in a row without a warning, before it is over
_ONLY = 0  # there is one rule


@dataclass(frozen=True, slots=True)
class EarlyWarning:
    """The rule, as its incident tells of it."""

    text: str
    severity: Severity


class EstimateAlarms:
    """Opens an incident with the first cohort of all traffic that warns, and resolves it when they are calm again."""

    def __init__(self, severity: Severity | None, task: str, reference: EstimateReference | None) -> None:
        self._metric = f"{PREFIX}{next(iter(COMPARED.get(task, ())), 'metric')}"
        self._is_share = task != "regression"
        self._reference = reference
        text = f"{self._metric} worse than the reference's"
        self._rule = None if severity is None else EarlyWarning(text, severity)
        self.incidents = RuleIncidents()

    def watches(self, row: EstimateRow) -> bool:
        """Tell whether the incident depends on a cohort."""
        return self._rule is not None and row.segment == ALL

    def closed(self, row: EstimateRow, moment: Moment) -> list[Changed]:
        """Take the estimates of a full cohort of all traffic; return the changes of the incident."""
        if self._rule is None or self._reference is None:
            return []
        incident = self.incidents.open.get(_ONLY)
        if not row.estimate_warning:
            if incident is None:
                return []
            incident.calm[self._metric] = incident.calm.get(self._metric, 0) + 1
            changed = self.incidents.resolve(_ONLY) if incident.calm[self._metric] >= CALM else None
        else:
            if incident is not None:
                incident.calm.clear()
            changed = self.incidents.fire(
                _ONLY,
                self._rule,
                moment.incident_id("estimates"),
                [self._culprit(row, self._reference)],
                moment.place(row.cohort_start_row),
                moment.place(moment.row),
                [IncidentKind.PERFORMANCE_DEGRADATION],
            )
        return [] if changed is None else [changed]

    def _culprit(self, row: EstimateRow, reference: EstimateReference) -> Culprit:
        noise = reference.spread / math.sqrt(max(row.n_estimated, 1))
        limit = max(WORSE * reference.loss, reference.loss + WARNS * noise)
        return since_onset(
            self._metric,
            DETECTOR,
            self._metric,
            value=row.metrics[self._metric].value or 0.0,
            noise_floor=noise,
            threshold=1.0 - limit if self._is_share else limit,
            rows=row.n_estimated,
            onset=row.cohort_start_row,
            row=row.cohort_end_row,
        )
