"""The life of the incidents of watchdogs: each thing that is amiss with a model has one of its own.

It opens when it is seen to be amiss, and resolves when it is seen to be well. None of them pages.
"""

from __future__ import annotations

import msgspec

from services.detector.incidents.drift import Change
from services.detector.incidents.incident import OpenIncident, key
from shared.events.alert import Culprit, IncidentKind, Place, Severity

Changed = tuple[Change, OpenIncident]


class WatchdogIncidents(msgspec.Struct):
    """At most one open incident of each thing."""

    open: dict[str, OpenIncident] = {}  # by what is amiss

    def amiss(
        self, what: str, words: str, incident_id: str, culprit: Culprit, onset: Place, at: Place, chance: float
    ) -> Changed | None:
        """Take that something is amiss; None where that is known."""
        if what in self.open:
            return None
        self.open[what] = OpenIncident(
            incident_id=incident_id,
            kinds=[IncidentKind.WATCHDOG],
            severity=Severity.INFO,
            onset=onset,
            detected=at,
            openers={},
            culprits={key(culprit): culprit},
            chance_per_week=chance,
            watchdog=words,
        )
        return Change.OPENED, self.open[what]

    def amend(self, what: str, words: str, culprit: Culprit) -> Changed | None:
        """Take that what is known to be amiss looks otherwise now; None where it does not."""
        incident = self.open.get(what)
        if incident is None or incident.watchdog == words:
            return None
        incident.watchdog, incident.culprits = words, {key(culprit): culprit}
        return Change.UPDATED, incident

    def well(self, what: str) -> Changed | None:
        """Take that something is well again."""
        incident = self.open.pop(what, None)
        return None if incident is None else (Change.RESOLVED, incident)
