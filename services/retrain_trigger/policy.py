"""When a retraining is asked for: a fold over one model's alerts, in the order of their log.

Time is log time: the running maximum of the alerts' Kafka timestamps. The wall clock and the receiver have no say.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from shared.durations import UNITS_MS, parse_duration
from shared.events.alert import Action, Alert, Heartbeat, Incident, IncidentEvent, IncidentKind
from shared.events.comparison import Comparison
from shared.events.retraining import Retraining, RetrainingState
from shared.monitors import RetrainSpec, parse_when
from shared.values import format_ts

DRIFT = frozenset({IncidentKind.DATA_DRIFT, IncidentKind.PREDICTION_DRIFT, IncidentKind.CONCEPT_DRIFT})
ACCURACY = frozenset({IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.CONCEPT_DRIFT})
PERIODS_MS = {
    "scheduled_daily": UNITS_MS["d"],
    "scheduled_weekly": UNITS_MS["w"],
    "scheduled_monthly": 30 * UNITS_MS["d"],
}


class Hold(StrEnum):
    """Why a decision asks for nothing: the record's reason, the log line and the metric label."""

    BROKEN_DATA = "broken_data"  # a model that learns from a broken pipeline is worse than the one it replaces
    TRAFFIC_MIX = "traffic_mix"  # each segment does as well as before: there is nothing to learn
    ALREADY_DECIDED = "already_decided"  # this incident has its retraining
    COOLING_DOWN = "cooling_down"  # the model's last request is too recent


@dataclass(frozen=True, slots=True)
class Rule:
    """A model's `retrain:` section: triggers joined by OR, in the order that names the cause."""

    triggers: tuple[str, ...]
    cool_down_ms: int

    @classmethod
    def of(cls, spec: RetrainSpec) -> Rule:
        """Return the rule that `spec` writes down."""
        return cls(parse_when(spec.when), parse_duration(spec.cool_down))


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a model is in log time. Schedules count whole periods from `watched_since_ms`, its first heartbeat."""

    log_time_ms: int = 0
    watched_since_ms: int | None = None
    beat_ms: int | None = None  # its last heartbeat

    def after(self, event: IncidentEvent, timestamp_ms: int) -> Moment:
        """Return the moment after an alert; a broker's clock that jumps back does not turn it back."""
        log_time = max(self.log_time_ms, timestamp_ms)
        if event is not IncidentEvent.HEARTBEAT:
            return Moment(log_time, self.watched_since_ms, self.beat_ms)
        since = log_time if self.watched_since_ms is None else self.watched_since_ms
        return Moment(log_time, since, log_time)


@dataclass(frozen=True, slots=True)
class Standing:
    """What was asked for a model before: requests that were refused or failed do not count."""

    requested_at_ms: int | None = None
    incidents: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer to one alert. The same alert always has the same `effect_id`."""

    effect_id: str
    model: str
    model_version: str
    cause: str
    hold: Hold | None
    incident_id: str | None
    alert_id: str
    moment: Moment

    @property
    def state(self) -> RetrainingState:
        """Return `requested`, or `held` where there is a reason not to ask."""
        return RetrainingState.REQUESTED if self.hold is None else RetrainingState.HELD

    def entry(self, partition: int, offset: int) -> Retraining:
        """Return the decision as the record of the alert at these coordinates."""
        since = self.moment.watched_since_ms
        return Retraining(
            effect_id=self.effect_id,
            model=self.model,
            model_version=self.model_version,
            state=self.state,
            cause=self.cause,
            reason=self.hold,
            incident_id=self.incident_id,
            alert_id=self.alert_id,
            alerts_partition=partition,
            alerts_offset=offset,
            decided_at=format_ts(self.moment.log_time_ms),
            watched_since=None if since is None else format_ts(since),
        )


def decide(rule: Rule, before: Moment, alert: Alert, now: Moment, standing: Standing) -> Decision | None:
    """Return the decision about `alert`, or None where no trigger of the rule is met.

    before, now: the model's moments before and after this alert.

    An incident is asked for once. One that was held may be asked for by its next page: it grew while it waited.
    """
    incident_id = None
    match alert.data:
        case Incident() as incident:
            cause = next((t for t in rule.triggers if _is_met(t, alert, incident)), None)
            subject = incident_id = incident.incident_id
            hold = _hold_incident(rule, incident, now, standing)
        case Heartbeat():
            cause = next((t for t in rule.triggers if _is_due(t, before, now)), None)
            subject = _period_name(cause, now)
            hold = _cooling(rule, now, standing)
        case Comparison():
            return None  # which version serves is decided elsewhere
        case never:
            assert_never(never)
    if cause is None:
        return None
    return Decision(
        effect_id=effect_id(alert.data.model, subject, alert.id),
        model=alert.data.model,
        model_version=alert.data.model_version,
        cause=cause,
        hold=hold,
        incident_id=incident_id,
        alert_id=alert.id,
        moment=now,
    )


def effect_id(model: str, subject: str, alert_id: str) -> str:
    """Return the key of one decision. subject: the incident's id, or trigger and number of a schedule's period."""
    return hashlib.blake2b("\0".join((model, subject, alert_id)).encode(), digest_size=16).hexdigest()


def _is_met(trigger: str, alert: Alert, incident: Incident) -> bool:
    kinds = {incident.kind, *incident.kinds}
    if trigger == "on_drift":
        return alert.is_page and not kinds.isdisjoint(DRIFT)
    if trigger == "on_accuracy_drop":
        return alert.is_page and not kinds.isdisjoint(ACCURACY)
    return False


def _is_due(trigger: str, before: Moment, now: Moment) -> bool:
    if trigger not in PERIODS_MS or before.beat_ms is None or now.watched_since_ms is None:
        return False
    period = PERIODS_MS[trigger]
    return (now.log_time_ms - now.watched_since_ms) // period > (before.beat_ms - now.watched_since_ms) // period


def _period_name(trigger: str | None, now: Moment) -> str:
    if trigger is None or now.watched_since_ms is None:
        return ""
    return f"{trigger}:{(now.log_time_ms - now.watched_since_ms) // PERIODS_MS[trigger]}"


def _hold_incident(rule: Rule, incident: Incident, now: Moment, standing: Standing) -> Hold | None:
    if incident.incident_id in standing.incidents:
        return Hold.ALREADY_DECIDED
    if incident.recommended_action is Action.FIX_PIPELINE:
        return Hold.BROKEN_DATA
    if incident.recommended_action is Action.HOLD:
        return Hold.TRAFFIC_MIX
    return _cooling(rule, now, standing)


def _cooling(rule: Rule, now: Moment, standing: Standing) -> Hold | None:
    asked = standing.requested_at_ms
    return Hold.COOLING_DOWN if asked is not None and now.log_time_ms - asked < rule.cool_down_ms else None
