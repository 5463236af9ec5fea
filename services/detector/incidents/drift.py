"""The life of a drift incident: inputs, prediction and scores share one per model version.

It opens on the first detection of an armed cell. While it is open every closed window is judged again: an all-traffic
cell that passes the tolerant test under Benjamini-Hochberg at 5 % and the effect gate is a culprit; segment cells of
other columns that pass are `inside_segments`. It resolves when every culprit has had three windows in a row under half
its threshold. Detections while it is open are part of it: nothing repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec
import numpy as np

from services.detector.incidents.incident import OpenIncident, key
from services.detector.mixes.reference import LABEL_SHARES, SEGMENT_SHARES
from services.detector.statistics.multiplicity import CULPRIT_RATE, benjamini_hochberg
from shared.events.alert import Culprit, IncidentKind, Place, Severity
from shared.pairs import is_with_truth

CALM_WINDOWS = 3
ALL = "all"
OUTPUTS = ("prediction", "score")  # signals of the model's answer; the rest are inputs


IsMix = Callable[[Sequence[Culprit], Iterable[Culprit]], bool]
"""Tells of the leading culprits and of those inside segments whether only the shares of segments moved."""


def _never(culprits: Sequence[Culprit], inside: Iterable[Culprit]) -> bool:  # noqa: ARG001 - of an `IsMix`
    return False


class Change(Enum):
    """What a window, a detection or the end of the watch did to the incident."""

    OPENED = "opened"
    ESCALATED = "escalated"
    UPDATED = "updated"
    RESOLVED = "resolved"
    ACCEPTED = "accepted"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True)
class Judged:
    """One column of one cell's closed window."""

    name: str  # of the cell: `key` of its culprit
    p_value: float
    culprit: Callable[[], Culprit]  # as it would be named
    is_armed: bool  # whether the window may name the cell
    passes_gate: bool
    is_calm: bool  # effect under half the gate


class DriftIncidents(msgspec.Struct):
    """At most one open drift incident."""

    open: OpenIncident | None = None
    chances: dict[str, float] = {}  # armed cell to the p-value of its newest window since the onset
    quiet: dict[str, int] = {}  # cell to the row up to which its own detector may not have had time to speak again

    def detect(
        self,
        incident_id: str,
        culprits: Sequence[Culprit],
        onset: Place,
        at: Place,
        chance: float,
        is_mix: IsMix = _never,
    ) -> Change | None:
        """Take detections of armed cells at one row; opens an incident if none is.

        A change may be too small for a window and yet go on: a cell is calm only after the rows that its detection took
        have passed three times without another one.
        """
        for culprit in culprits:
            quiet = at.row + CALM_WINDOWS * culprit.window_rows
            self.quiet[key(culprit)] = max(quiet, self.quiet.get(key(culprit), 0))
        if self.open is not None:
            self.open.chance_per_week = min(self.open.chance_per_week, chance)
            return None
        self.open = OpenIncident(
            incident_id=incident_id,
            kinds=[IncidentKind.DATA_DRIFT],
            severity=Severity.WARNING,
            onset=onset,
            detected=at,
            openers={key(culprit): culprit for culprit in culprits},
            chance_per_week=chance,
        )
        self.chances = {}
        self._name_kinds(is_mix)
        return Change.OPENED

    def judge(self, windows: Sequence[Judged], row: int, is_mix: IsMix = _never) -> Change | None:
        """Take the columns of a window that closed at `row`; confirms culprits among the armed ones, or resolves."""
        if self.open is None or not windows:
            return None
        armed = [window for window in windows if window.is_armed]
        for window in armed:
            self.chances[window.name] = window.p_value
        changed = self._confirm(armed, is_mix)
        if self._calmed(windows, row):
            return Change.RESOLVED
        return Change.UPDATED if changed else None

    def _confirm(self, windows: Sequence[Judged], is_mix: IsMix) -> bool:
        """Name what passes; return whether the culprits or the segments grew, or it leads to another kind."""
        incident = self._incident()
        kind = incident.kinds[0]
        before = (set(incident.leading()), set(incident.inside_segments()))
        names = list(self.chances)
        all_traffic = [name for name in names if name.endswith(f"\0{ALL}")]
        found = set(_passing(all_traffic, self.chances)) | set(_passing(names, self.chances))
        for window in windows:
            name = window.name
            if name not in found or not window.passes_gate:
                continue
            culprit = window.culprit()
            group = incident.culprits if culprit.segment == ALL else incident.inside
            if culprit.detector == SEGMENT_SHARES:
                group = incident.mixes
            group[name] = culprit
            if name in incident.openers:
                incident.openers[name] = culprit
        self._name_kinds(is_mix)
        if incident.kinds[0] is not kind and IncidentKind.TRAFFIC_MIX in (kind, incident.kinds[0]):
            return True
        return not (set(incident.leading()) <= before[0] and set(incident.inside_segments()) <= before[1])

    def _calmed(self, windows: Sequence[Judged], row: int) -> bool:
        incident = self._incident()
        for window in windows:
            name = window.name
            if name in incident.leading():
                incident.calm[name] = incident.calm.get(name, 0) + 1 if window.is_calm else 0
        return all(
            incident.calm.get(name, 0) >= CALM_WINDOWS and row >= self.quiet.get(name, 0) for name in incident.leading()
        )

    def gone(self, segment: str, row: int) -> Change | None:
        """Take that nothing will be told of a segment any longer: what it led is over."""
        for known in (self.chances, self.quiet):
            for name in [name for name in known if name.endswith(f"\0{segment}")]:
                del known[name]
        if self.open is None:
            return None
        named = [name for name in self.open.leading() if name.endswith(f"\0{segment}")]
        self.open.calm |= dict.fromkeys(named, CALM_WINDOWS)
        return Change.RESOLVED if named and self._calmed((), row) else None

    def names(self, feature: str) -> bool:
        """Tell whether an incident is open that names a column."""
        return self.open is not None and any(c.feature == feature for c in self.open.leading().values())

    def close(self) -> None:
        """Forget the incident, once its last event is written."""
        self.open = None
        self.chances = {}
        self.quiet = {}

    def _name_kinds(self, is_mix: IsMix) -> None:
        incident = self._incident()
        culprits = (incident.culprits or incident.openers) | incident.mixes
        kinds = kinds_of((incident.culprits or incident.openers).values())
        if is_mix(list(culprits.values()), incident.inside.values()):
            kinds = [IncidentKind.TRAFFIC_MIX, *(kind for kind in kinds if kind is not IncidentKind.TRAFFIC_MIX)]
        incident.kinds = kinds

    def _incident(self) -> OpenIncident:
        if self.open is None:
            raise LookupError("no incident is open")
        return self.open


def kinds_of(culprits: Iterable[Culprit]) -> list[IncidentKind]:
    """Return what moved: inputs, the model's answer, labels, what they say of both, segments, or several of these."""
    culprits = list(culprits)
    mixes = {culprit.feature for culprit in culprits if culprit.detector == SEGMENT_SHARES}
    labels = {culprit.feature for culprit in culprits if culprit.detector == LABEL_SHARES}
    features = {culprit.feature for culprit in culprits} - mixes - labels
    outputs = {name for name in features if name in OUTPUTS or name.startswith("score_")}
    concepts = {name for name in features if is_with_truth(name)}
    moved = {
        IncidentKind.DATA_DRIFT: features - outputs - concepts,
        IncidentKind.PREDICTION_DRIFT: outputs,
        IncidentKind.LABEL_DRIFT: labels,
        IncidentKind.CONCEPT_DRIFT: concepts,
        IncidentKind.TRAFFIC_MIX: mixes,
    }
    return [kind for kind, names in moved.items() if names]


def _passing(names: list[str], chances: dict[str, float]) -> list[str]:
    """Return the names that Benjamini-Hochberg keeps."""
    kept = benjamini_hochberg(np.asarray([chances[name] for name in names]), CULPRIT_RATE)
    return [name for name, is_kept in zip(names, kept, strict=True) if is_kept]
