"""The summary of a backtest: counts, incidents, and what may page at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from services.cli.stories import source
from services.detector.rules.watch import DETECTOR
from services.detector.warming import WarmingWatch
from services.detector.watch import Watch
from services.joiner.meta import Counters
from shared.definition import ServedRows
from shared.events.alert import OF_CHALLENGERS, AlertEnvelope, Heartbeat, Incident, IncidentEvent
from shared.events.comparison import Comparison, Verdict
from shared.events.dead_letter import DeadLetter
from shared.log import Record


class Armed(msgspec.Struct, frozen=True):
    """Shares of cells that may page."""

    all_traffic: float
    segments: float


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One model version."""

    model: str
    model_version: str
    rows_served: int
    rows_labelled: int
    armed: Armed
    not_armed: dict[str, str]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`summary.json`."""

    counts: Mapping[str, Counters]
    dead_letters: dict[str, int]  # by reason
    models: list[ModelSummary]
    armed: Armed  # of the first model; of each in `models`
    incidents: list[Incident]  # the last state of each
    incidents_of_rules: int  # how many of them; these are outside the budget
    states: dict[str, str]  # incident id to open, resolved, accepted or retracted
    events: dict[str, int]  # alerts by type
    seconds: float
    comparisons: list[Comparison] = []  # how each challenger stands
    learned: Mapping[str, ServedRows] = {}  # of models that warm up: the rows that are their reference

    def lines(self) -> list[str]:
        """Return the summary for people."""
        found = [f"{model}: its reference are its first {source(rows)}" for model, rows in self.learned.items()]
        found += [line for model in self.models for line in _model_lines(model)]
        found += [f"dead letters: {times:,} {reason}" for reason, times in self.dead_letters.items()]
        found += [self._incident_line(incident) for incident in self.incidents]
        found += [_comparison_line(said) for said in self.comparisons]
        calibrated = len(self.incidents) - self.incidents_of_rules
        plural = "" if calibrated == 1 else "s"
        of_rules = f" and {self.incidents_of_rules} of rules" if self.incidents_of_rules else ""
        return [*found, f"{calibrated} incident{plural}{of_rules} in {self.seconds:.1f} s"]

    def _incident_line(self, incident: Incident) -> str:
        state = self.states[incident.incident_id]
        where = f"from row {incident.onset.row:,}, detected at {incident.detected.row:,}"
        return f"{incident.severity.value} {'+'.join(incident.kinds)} ({state}) {where}: {incident.summary}"


def comparisons_of(alerts: Iterable[Record]) -> list[Comparison]:
    """Return each comparison of challengers as told last."""
    last: dict[str, Comparison] = {}
    for record in alerts:
        alert = msgspec.json.decode(record.value or b"", type=AlertEnvelope)
        if alert.type in OF_CHALLENGERS.values():
            said = msgspec.json.decode(alert.data, type=Comparison)
            last[said.comparison_id] = said
    return list(last.values())


def _comparison_line(said: Comparison) -> str:
    gap = f"{said.estimate:.4g} ({said.estimate_low:.4g} to {said.estimate_high:.4g})"
    worse = [one.segment for one in said.segments if one.verdict is Verdict.WORSE]
    but = f", worse where {', '.join(worse)}" if worse else ""
    return (
        f"{said.model} {said.model_version}: {said.verdict} beside {said.champion} after {said.pairs:,} labels of both,"
        f" {said.metric} smaller by {gap}{but}; {said.advice.replace('_', ' ')}"
    )


def _model_lines(model: ModelSummary) -> list[str]:
    served = f"{model.rows_served:,} predictions, {model.rows_labelled:,} labels joined"
    armed = (
        f"armed: {model.armed.all_traffic:.0%} of columns on all traffic, {model.armed.segments:.0%} of segment cells"
    )
    reasons = [f"  {column} does not page: {why}" for column, why in model.not_armed.items()]
    return [f"{model.model} {model.model_version}: {served}; {armed}", *reasons]


def incidents_of(alerts: Iterable[Record]) -> tuple[list[Incident], dict[str, str], dict[str, int]]:
    """Return each incident as told last, its state by id, and the number of alerts by type."""
    last: dict[str, Incident] = {}
    states: dict[str, str] = {}
    events: dict[str, int] = {}
    for record in alerts:
        alert = msgspec.json.decode(record.value or b"", type=AlertEnvelope)
        events[alert.type.value] = events.get(alert.type.value, 0) + 1
        if alert.type is IncidentEvent.HEARTBEAT:
            msgspec.json.decode(alert.data, type=Heartbeat)
            continue
        if alert.type in OF_CHALLENGERS.values():
            continue
        incident = msgspec.json.decode(alert.data, type=Incident)
        last[incident.incident_id] = incident
        states[incident.incident_id] = alert.type.state
    return list(last.values()), states, events


def _is_of_rule(incident: Incident) -> bool:
    return any(culprit.detector == DETECTOR for culprit in incident.culprits)


def summarise(
    counters: Mapping[str, Counters],
    watches: Mapping[tuple[str, str], Watch | WarmingWatch],
    alerts: Sequence[Record],
    dead_letters: Sequence[Record],
    seconds: float,
    learned: Mapping[str, ServedRows] | None = None,
) -> Summary:
    """Return the summary of a run; `learned` are the rows that models that warm up have for a reference."""
    incidents, states, events = incidents_of(alerts)
    reasons: dict[str, int] = {}
    for record in dead_letters:
        letter = msgspec.json.decode(record.value or b"", type=DeadLetter)
        reasons[letter.reason] = reasons.get(letter.reason, 0) + 1
    models = [
        ModelSummary(
            model=model,
            model_version=version,
            rows_served=watch.rows_served,
            rows_labelled=watch.rows_labelled,
            armed=Armed(watch.armed_all_traffic, watch.armed_segments),
            not_armed=watch.not_armed,
        )
        for (model, version), watch in watches.items()
    ]
    return Summary(
        counts=counters,
        dead_letters=dict(sorted(reasons.items())),
        models=models,
        armed=models[0].armed if models else Armed(0.0, 0.0),
        incidents=incidents,
        incidents_of_rules=sum(_is_of_rule(incident) for incident in incidents),
        states=states,
        events=events,
        comparisons=comparisons_of(alerts),
        learned=learned or {},
        seconds=round(seconds, 3),
    )
