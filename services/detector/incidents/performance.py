"""The life of a performance incident: all monitors of labels share one per model version.

It opens on the first confirmed loss, is updated when another monitor fires, and resolves when every monitor that fired
has recovered. It is retracted when labels have undone what every one of them rested on. It is also concept drift where
no drift incident is open: the inputs stand still, the errors do not.
"""

from __future__ import annotations

import msgspec

from services.detector.incidents.drift import Change
from services.detector.incidents.incident import OpenIncident, key
from shared.events.alert import Culprit, IncidentKind, Place, Severity


class PerformanceIncidents(msgspec.Struct):
    """At most one open performance incident."""

    open: OpenIncident | None = None
    recovered: list[str] = []  # monitors that fired and came back

    def detect(
        self, incident_id: str, culprit: Culprit, onset: Place, at: Place, chance: float, *, inputs_moved: bool
    ) -> Change | None:
        """Take one confirmed loss."""
        if self.open is None:
            kinds = [IncidentKind.PERFORMANCE_DEGRADATION]
            self.open = OpenIncident(
                incident_id=incident_id,
                kinds=kinds if inputs_moved else [*kinds, IncidentKind.CONCEPT_DRIFT],
                severity=Severity.CRITICAL,
                onset=onset,
                detected=at,
                openers={},
                culprits={key(culprit): culprit},
                chance_per_week=chance,
            )
            self.recovered = []
            return Change.OPENED
        self.open.chance_per_week = min(self.open.chance_per_week, chance)
        if culprit.feature in self.recovered:
            self.recovered.remove(culprit.feature)
        known = key(culprit) in self.open.culprits
        self.open.culprits[key(culprit)] = culprit
        return None if known else Change.UPDATED

    def recover(self, monitor: str) -> Change | None:
        """Take one monitor's recovery; resolves when it was the last."""
        if self.open is None:
            return None
        if monitor not in self.recovered:
            self.recovered.append(monitor)
        return self.settle()

    def settle(self) -> Change | None:
        """Resolve where every monitor that fired, and was not withdrawn since, is back."""
        if self.open is None:
            return None
        fired = {culprit.feature for culprit in self.open.culprits.values()}
        return Change.RESOLVED if fired <= set(self.recovered) else None

    def withdraw(self, monitor: str) -> Change | None:
        """Take that labels have undone what a monitor told; retracts when it was the only one."""
        if self.open is None:
            return None
        named = [name for name, culprit in self.open.culprits.items() if culprit.feature == monitor]
        if len(named) == len(self.open.culprits):
            return Change.RETRACTED
        for name in named:
            del self.open.culprits[name]
        return Change.UPDATED

    def close(self) -> None:
        """Forget the incident, once its last event is written."""
        self.open = None
        self.recovered = []
