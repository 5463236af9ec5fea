"""From a change of an incident to the records that tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from services.detector.causes.words import why
from services.detector.incidents.drift import Change
from services.detector.incidents.incident import OpenIncident, Subject, describe
from services.detector.outputs import Outputs
from services.detector.quality.words import said
from shared.events.alert import Incident, IncidentEvent
from shared.log import Outgoing

_EVENTS = {
    Change.OPENED: IncidentEvent.OPENED,
    Change.ESCALATED: IncidentEvent.ESCALATED,
    Change.UPDATED: IncidentEvent.UPDATED,
    Change.RESOLVED: IncidentEvent.RESOLVED,
    Change.ACCEPTED: IncidentEvent.ACCEPTED,
    Change.RETRACTED: IncidentEvent.RETRACTED,
}


@dataclass(frozen=True, slots=True)
class Announcer:
    """Writes one model version's incident events."""

    outputs: Outputs
    subject: Subject

    def tell(
        self,
        change: Change,
        incident: OpenIncident,
        rows_served: int,
        blast_radius: dict[str, float],
        time_ms: int,
        reason: str | None = None,
    ) -> list[Outgoing]:
        """Return the records of one change; counts the incident's events."""
        data: Incident = describe(
            self.subject,
            incident,
            cause=_cause(incident),
            rows_affected=max(rows_served - incident.onset.row, 0),
            blast_radius=blast_radius,
        )
        number, incident.events = incident.events, incident.events + 1
        told = msgspec.structs.replace(data, reason=reason)
        return self.outputs.incident(_EVENTS[change], number, told, time_ms)


_CAUSES = MappingProxyType(
    {
        "data_drift": "the inputs changed: {listed}",
        "prediction_drift": "the model's answers changed: {listed}",
        "traffic_mix": "only the shares of segments moved, and nothing inside them: {listed}",
        "label_drift": "other labels than before: their shares moved",
        "concept_drift": "labels go otherwise with the inputs: {listed}",
        "performance_degradation": "labels show a loss: {listed}",
    }
)


def _cause(incident: OpenIncident) -> str:
    if incident.watchdog:
        return incident.watchdog
    names = sorted({culprit.feature for culprit in incident.leading().values()})
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    if incident.rule:
        return f"the rule {incident.rule} fired: {listed}"
    if incident.advisor:
        return f"the detector {incident.advisor} found a change"
    if incident.loss_parts:
        return f"labels show a loss: {listed}; {why(incident.loss_parts)}"
    kind = incident.kinds[0].value
    if kind == "data_quality":
        return f"{said(incident.leading().values())}: fix what sends it, for a retraining would learn the mistake"
    return _CAUSES.get(kind, _CAUSES["performance_degradation"]).format(listed=listed)
