"""The life of the incidents of data quality: one for each thing that broke, whatever columns and cells it shows in.

Columns that break together, within a window's rows, are one incident; one that breaks later has its own. It resolves
when every share that it tells of has been usual in three windows in a row.
"""

from __future__ import annotations

import msgspec

from services.detector.incidents.drift import ALL, CALM_WINDOWS, Change
from services.detector.incidents.incident import OpenIncident
from shared.events.alert import Culprit, IncidentKind, Place, Severity
from shared.pairs import columns_of

Changed = tuple[Change, OpenIncident]

TOGETHER = 1_000  # served rows between the onsets of columns that broke together
LARGE_SHARE = 0.2  # of all traffic


class QualityIncidents(msgspec.Struct):
    """The open incidents, oldest first; no column is in two of them."""

    open: list[OpenIncident] = []

    def breaks(self, feature: str) -> bool:
        """Tell whether an open incident has a column, or one of a pair's."""
        return any(not _features(incident).isdisjoint(columns_of(feature)) for incident in self.open)

    def detect(self, incident_id: str, culprit: Culprit, onset: Place, at: Place, chance: float) -> Changed | None:
        """Take one share that is no longer usual; None where that is known."""
        incident = self._of(culprit.feature, onset.row)
        if incident is None:
            incident = OpenIncident(
                incident_id=incident_id,
                kinds=[IncidentKind.DATA_QUALITY],
                severity=_severity(culprit),
                onset=onset,
                detected=at,
                openers={},
                chance_per_week=chance,
            )
            _name(incident, culprit)
            self.open.append(incident)
            return Change.OPENED, incident
        before, may_rise = set(incident.leading()), incident.severity is not Severity.CRITICAL
        incident.calm.pop(_series(culprit), None)
        incident.chance_per_week = min(incident.chance_per_week, chance)
        _name(incident, culprit)
        if may_rise and _severity(culprit) is Severity.CRITICAL:
            incident.severity = Severity.CRITICAL
            return Change.ESCALATED, incident
        return (Change.UPDATED, incident) if set(incident.leading()) - before else None

    def look(self, series: str, *, is_calm: bool) -> Changed | None:
        """Take what a closed window says of a share that an incident tells of."""
        for incident in self.open:
            told = {_series(culprit) for culprit in incident.leading().values()}
            if series in told:
                incident.calm[series] = incident.calm.get(series, 0) + 1 if is_calm else 0
                if all(incident.calm.get(name, 0) >= CALM_WINDOWS for name in told):
                    self.open.remove(incident)
                    return Change.RESOLVED, incident
        return None

    def gone(self, segment: str) -> list[Changed]:
        """Take that nothing will be told of a segment any longer: what it alone was told for is over."""
        resolved = [incident for incident in self.open if {c.segment for c in incident.leading().values()} == {segment}]
        self.open = [incident for incident in self.open if incident not in resolved]
        for incident in self.open:
            for group in (incident.openers, incident.inside):
                for series in [series for series, culprit in group.items() if culprit.segment == segment]:
                    del group[series]
        return [(Change.RESOLVED, incident) for incident in resolved]

    def _of(self, feature: str, onset_row: int) -> OpenIncident | None:
        for incident in self.open:
            if feature in _features(incident):
                return incident
        together = (incident for incident in self.open if abs(incident.onset.row - onset_row) <= TOGETHER)
        return next(together, None)


def series_of(feature: str, segment: str, statistic: str, category: str = "") -> str:
    """Return the name of one share in one cell, of a category where it is of one."""
    return f"{feature}\0{segment}\0{statistic}\0{category}"


def _series(culprit: Culprit) -> str:
    category = "".join(part.name for part in culprit.bins)
    return series_of(culprit.feature, culprit.segment, culprit.statistic, category)


def _features(incident: OpenIncident) -> set[str]:
    return {culprit.feature for culprit in (*incident.leading().values(), *incident.inside.values())}


def _name(incident: OpenIncident, culprit: Culprit) -> None:
    """Take a culprit: one of all traffic leads; one of a segment does while there is none, else it is inside."""
    of_segments = incident.inside if incident.culprits else incident.openers
    group = incident.culprits if culprit.segment == ALL else of_segments
    group[_series(culprit)] = culprit


def _severity(culprit: Culprit) -> Severity:
    is_large = culprit.segment == ALL and culprit.value >= LARGE_SHARE
    return Severity.CRITICAL if is_large else Severity.WARNING
