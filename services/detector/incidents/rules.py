"""The life of the incidents of rules: each rule has one of its own, apart from all that is calibrated.

It opens when the first series of its rule fires, is updated when another one does, and resolves when all of them have
been quiet for long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from services.detector.incidents.drift import Change, kinds_of
from services.detector.incidents.incident import OpenIncident, key
from shared.events.alert import Culprit, IncidentKind, Place, Severity


class Rule(Protocol):
    """What an incident tells of its rule."""

    @property
    def text(self) -> str:
        """Return what people read."""
        ...

    @property
    def severity(self) -> Severity:
        """Return that of its incidents."""
        ...


class RuleIncidents(msgspec.Struct):
    """At most one open incident of each rule."""

    open: dict[int, OpenIncident] = {}  # by the rule's place among the rules

    def fire(
        self,
        place: int,
        rule: Rule,
        incident_id: str,
        culprits: Sequence[Culprit],
        onset: Place,
        at: Place,
        kinds: Sequence[IncidentKind] = (),
    ) -> tuple[Change, OpenIncident] | None:
        """Take the series of a rule that fired in one window; None where all of them are known to have.

        kinds: of the incident, where its culprits are no columns.
        """
        named = {key(culprit): culprit for culprit in culprits}
        incident = self.open.get(place)
        if incident is None:
            incident = self.open[place] = OpenIncident(
                incident_id=incident_id,
                kinds=list(kinds) or kinds_of(named.values()),
                severity=rule.severity,
                onset=onset,
                detected=at,
                openers={},
                culprits=named,
                rule=rule.text,
            )
            return Change.OPENED, incident
        is_known = named.keys() <= incident.culprits.keys()
        incident.culprits |= named
        incident.kinds = list(kinds) or kinds_of(incident.culprits.values())
        return None if is_known else (Change.UPDATED, incident)

    def resolve(self, place: int) -> tuple[Change, OpenIncident] | None:
        """Take that no series of a rule fires any longer."""
        incident = self.open.pop(place, None)
        return None if incident is None else (Change.RESOLVED, incident)
