"""An open incident as state, and its latest description as an event's data."""

from __future__ import annotations

import hashlib

import msgspec

from shared.definition import Definition
from shared.durations import format_duration
from shared.events.alert import Action, Culprit, Incident, IncidentKind, LossCost, LossParts, Place, Severity

WEEK_MS = 7 * 86_400_000
RARE_ENOUGH = 1e-300  # chances below are printed as this: a float cannot tell them apart


class OpenIncident(msgspec.Struct):
    """What is known of a change while it lasts."""

    incident_id: str
    kinds: list[IncidentKind]  # the leading one first
    severity: Severity
    onset: Place
    detected: Place
    openers: dict[str, Culprit]  # the cells whose detection opened it
    culprits: dict[str, Culprit] = {}  # all-traffic cells confirmed since
    inside: dict[str, Culprit] = {}  # segment cells of columns that move only there
    mixes: dict[str, Culprit] = {}  # dimensions whose segments' shares were confirmed to have moved
    chance_per_week: float = 1.0
    events: int = 0  # events written so far
    calm: dict[str, int] = {}  # culprit to windows in a row well under its threshold
    rule: str = ""  # the rule that opened it, in words; empty for anything else
    advisor: str = ""  # the same of a detector that people have named
    watchdog: str = ""  # what a watchdog has to tell, in words
    loss_parts: list[LossParts] = []  # what a loss comes from
    later_onsets: list[Place] = []  # where errors rose again while it was open
    cost: LossCost | None = None  # what it costs, where errors have prices

    def leading(self) -> dict[str, Culprit]:
        """Return the culprits: confirmed all-traffic cells, or the openers while none is.

        Shares of segments are among them where nothing else moved: whatever moves a column may move its segments.
        """
        found = self.culprits or self.openers
        return found | self.mixes if self.kinds[0] is IncidentKind.TRAFFIC_MIX else found

    def blast_radius(self, shares: dict[str, float]) -> dict[str, float]:
        """Return the share of traffic of every segment in which something moved; `shares` are those of all."""
        moved = {culprit.segment for culprit in (*self.leading().values(), *self.inside.values())}
        return {segment: share for segment, share in shares.items() if segment in moved}

    def inside_segments(self) -> dict[str, Culprit]:
        """Return segment cells of columns that are not culprits already."""
        named = {culprit.feature for culprit in self.leading().values()}
        return {key: culprit for key, culprit in self.inside.items() if culprit.feature not in named}


class Subject(msgspec.Struct, frozen=True):
    """Whose incident it is, and what a stranger needs to recompute it."""

    model: str
    model_version: str
    baseline_hash: str
    configuration_version: int
    configuration_hash: str
    code_version: str


def incident_id(subject: Subject, family: str, shard: int, seq: int, row: int) -> str:
    """Return the id that any replay of the same log gives to the same incident."""
    text = f"{subject.model}\0{subject.model_version}\0{family}\0{subject.configuration_hash}\0{shard}\0{seq}\0{row}"
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def subject_of(definition: Definition, model_version: str, configuration_version: int, code_version: str) -> Subject:
    """Return whose incidents those of a model version are."""
    return Subject(
        model=definition.model,
        model_version=model_version,
        baseline_hash=definition.baseline_hash,
        configuration_version=configuration_version,
        configuration_hash=definition.hash,
        code_version=code_version,
    )


def key(culprit: Culprit) -> str:
    """Return the name of a culprit's cell."""
    return cell_key(culprit.feature, culprit.segment)


def cell_key(feature: str, segment: str) -> str:
    """Return the name of a cell."""
    return f"{feature}\0{segment}"


def feature_of(key: str) -> str:
    """Return the column, or pair, of a cell's name."""
    return key.partition("\0")[0]


def describe(
    subject: Subject, incident: OpenIncident, *, cause: str, rows_affected: int, blast_radius: dict[str, float]
) -> Incident:
    """Return the incident as subscribers read it."""
    ranked = sorted(incident.leading().values(), key=_strength)
    return Incident(
        incident_id=incident.incident_id,
        model=subject.model,
        model_version=subject.model_version,
        kind=incident.kinds[0],
        kinds=incident.kinds,
        severity=incident.severity,
        cause=cause,
        recommended_action=Action.INVESTIGATE if incident.advisor else _ACTIONS[incident.kinds[0]],
        summary=f"{subject.model} {subject.model_version}: {incident.watchdog}"
        if incident.watchdog
        else _summary(subject, ranked, rows_affected),
        onset=incident.onset,
        detected=incident.detected,
        culprits=ranked,
        inside_segments=sorted(incident.inside_segments().values(), key=_strength),
        chance_per_week=float(f"{max(incident.chance_per_week, RARE_ENOUGH):.6g}"),
        by_chance_once_in=_once_in(incident),
        rows_affected=rows_affected,
        blast_radius=blast_radius,
        baseline_hash=subject.baseline_hash,
        configuration_version=subject.configuration_version,
        configuration_hash=subject.configuration_hash,
        code_version=subject.code_version,
        loss_parts=incident.loss_parts,
        later_onsets=incident.later_onsets,
        cost=incident.cost,
    )


_ACTIONS = {
    IncidentKind.DATA_DRIFT: Action.INVESTIGATE,
    IncidentKind.PREDICTION_DRIFT: Action.INVESTIGATE,
    IncidentKind.PERFORMANCE_DEGRADATION: Action.RETRAIN,
    IncidentKind.CONCEPT_DRIFT: Action.RETRAIN,
    IncidentKind.TRAFFIC_MIX: Action.HOLD,
    IncidentKind.LABEL_DRIFT: Action.INVESTIGATE,
    IncidentKind.DATA_QUALITY: Action.FIX_PIPELINE,
    IncidentKind.WATCHDOG: Action.FIX_PIPELINE,
}


def once_in(chance_per_week: float) -> str:
    """Return how often chance alone would do this, in words."""
    weeks = 1.0 / max(chance_per_week, RARE_ENOUGH)
    years = weeks / 52.18
    if years >= 1e6:
        return f"1e{len(str(int(years))) - 1} years"
    if years >= 1:
        return f"{years:,.0f} years"
    return format_duration(weeks * WEEK_MS)


def _once_in(incident: OpenIncident) -> str:
    if incident.rule or incident.advisor:
        return f"unknown: {'a rule' if incident.rule else 'a named detector'} is not calibrated"
    if incident.watchdog and incident.chance_per_week >= 1.0:
        return "unknown: this limit is not calibrated"
    return once_in(incident.chance_per_week)


def _strength(culprit: Culprit) -> tuple[float, str, str]:
    """Order by effect, strongest first; names break ties. A small p-value is a strong one."""
    strength = -culprit.value if culprit.statistic.endswith("_pvalue") else abs(culprit.value)
    return (-strength, culprit.feature, culprit.segment)


def _summary(subject: Subject, ranked: list[Culprit], rows_affected: int) -> str:
    named = ", ".join(
        f"{c.feature}{'' if c.segment == 'all' else f' in {c.segment}'} ({c.statistic} {c.value:.3g},"
        f"{f' noise {c.noise_floor:.2g},' if c.noise_floor else ''} threshold {c.threshold:.3g})"
        for c in ranked[:5]
    )
    more = f" and {len(ranked) - 5} more" if len(ranked) > 5 else ""
    return f"{subject.model} {subject.model_version}: {named}{more}; {rows_affected:,} rows since the onset"
