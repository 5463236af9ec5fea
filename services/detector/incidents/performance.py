"""The life of a performance incident: all monitors of labels share one per model version.

It opens on the first confirmed loss, is updated when another monitor fires, and resolves when every monitor that fired
has recovered. It is retracted when labels have undone what every one of them rested on. Its kinds follow from its
cause, which is looked at again while more labels come.
"""

from __future__ import annotations

import msgspec

from services.detector.causes.watch import Cause
from services.detector.incidents.drift import Change
from services.detector.incidents.incident import OpenIncident, key
from shared.events.alert import Culprit, Place, Severity

APART = 1_000  # rows from one onset to the next: a window
MAX_ONSETS = 16  # after the first; the newest are told


class PerformanceIncidents(msgspec.Struct):
    """At most one open performance incident."""

    open: OpenIncident | None = None
    recovered: list[str] = []  # monitors that fired and came back

    def detect(
        self, incident_id: str, culprit: Culprit, onset: Place, at: Place, chance: float, cause: Cause
    ) -> Change | None:
        """Take one confirmed loss."""
        if self.open is None:
            self.open = OpenIncident(
                incident_id=incident_id,
                kinds=cause.kinds,
                severity=cause.severity,
                onset=onset,
                detected=at,
                openers={},
                culprits={key(culprit): culprit},
                chance_per_week=chance,
                loss_parts=cause.parts,
            )
            self.recovered = []
            return Change.OPENED
        self.open.chance_per_week = min(self.open.chance_per_week, chance)
        if culprit.feature in self.recovered:
            self.recovered.remove(culprit.feature)
        known = key(culprit) in self.open.culprits
        self.open.culprits[key(culprit)] = culprit
        explained = self.explain(cause)
        return explained if known else explained or Change.UPDATED

    def explain(self, cause: Cause) -> Change | None:
        """Take what more labels say of the cause; tells where that makes it something else."""
        if self.open is None:
            return None
        before = (self.open.severity, self.open.kinds)
        self.open.kinds, self.open.severity, self.open.loss_parts = cause.kinds, cause.severity, cause.parts
        if before[0] is Severity.WARNING and cause.severity is Severity.CRITICAL:
            return Change.ESCALATED
        return None if before[1] == cause.kinds else Change.UPDATED

    def change_again(self, culprit: Culprit, onset: Place) -> Change | None:
        """Take that errors rose again, from an onset of their own, while the incident is open."""
        if self.open is None or onset.row <= self._last_onset() + APART:
            return None
        self.open.later_onsets = [*self.open.later_onsets, onset][-MAX_ONSETS:]
        self.open.culprits[key(culprit)] = culprit
        if culprit.feature in self.recovered:
            self.recovered.remove(culprit.feature)
        return Change.UPDATED

    def _last_onset(self) -> int:
        if self.open is None:
            return 0
        return max(place.row for place in (self.open.onset, *self.open.later_onsets))

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
