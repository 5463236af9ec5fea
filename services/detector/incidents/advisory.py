"""The life of the incidents of detectors that people have named: each has one of its own, and none of them pages.

It opens when the detector speaks, and resolves when it has kept quiet for long.
"""

from __future__ import annotations

import msgspec

from services.detector.incidents.drift import Change
from services.detector.incidents.incident import OpenIncident, key
from shared.events.alert import Culprit, IncidentKind, Place, Severity


class AdvisoryIncidents(msgspec.Struct):
    """At most one open incident of each detector."""

    open: dict[int, OpenIncident] = {}  # by the detector's place in the configuration

    def speak(
        self, place: int, advisor: str, kind: IncidentKind, incident_id: str, culprit: Culprit, onset: Place, at: Place
    ) -> tuple[Change, OpenIncident] | None:
        """Take a detection; None where the detector's incident is open."""
        if place in self.open:
            return None
        self.open[place] = OpenIncident(
            incident_id=incident_id,
            kinds=[kind],
            severity=Severity.INFO,
            onset=onset,
            detected=at,
            openers={},
            culprits={key(culprit): culprit},
            advisor=advisor,
        )
        return Change.OPENED, self.open[place]

    def resolve(self, place: int) -> tuple[Change, OpenIncident] | None:
        """Take that a detector has kept quiet for long."""
        incident = self.open.pop(place, None)
        return None if incident is None else (Change.RESOLVED, incident)
