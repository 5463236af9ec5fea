"""Alerts: what the detector tells everyone on the `alerts` topic."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from shared.errors import Malformed
from shared.events.cloudevent import CloudEvent
from shared.events.comparison import Comparison, Verdict


class IncidentEvent(StrEnum):
    """The `type` of an alert."""

    OPENED = "driftline.incident.opened"
    ESCALATED = "driftline.incident.escalated"
    UPDATED = "driftline.incident.updated"
    RESOLVED = "driftline.incident.resolved"
    ACCEPTED = "driftline.incident.accepted"
    RETRACTED = "driftline.incident.retracted"
    HEARTBEAT = "driftline.heartbeat"
    CHALLENGER_BETTER = "driftline.challenger.better"
    CHALLENGER_WORSE = "driftline.challenger.worse"
    CHALLENGER_UNDECIDED = "driftline.challenger.undecided"

    @property
    def state(self) -> str:
        """Return how an incident stands after this event: open, resolved, accepted or retracted."""
        return self.rsplit(".", 1)[-1] if self in CLOSING else "open"


OF_INCIDENTS = tuple(event for event in IncidentEvent if event.startswith("driftline.incident."))
OF_CHALLENGERS = {
    Verdict.BETTER: IncidentEvent.CHALLENGER_BETTER,
    Verdict.WORSE: IncidentEvent.CHALLENGER_WORSE,
    Verdict.UNDECIDED: IncidentEvent.CHALLENGER_UNDECIDED,
}
CLOSING = (IncidentEvent.RESOLVED, IncidentEvent.ACCEPTED, IncidentEvent.RETRACTED)


class IncidentKind(StrEnum):
    """What changed."""

    DATA_DRIFT = "data_drift"
    PREDICTION_DRIFT = "prediction_drift"
    LABEL_DRIFT = "label_drift"
    CONCEPT_DRIFT = "concept_drift"
    PERFORMANCE_DEGRADATION = "performance_degradation"
    DATA_QUALITY = "data_quality"
    TRAFFIC_MIX = "traffic_mix"
    WATCHDOG = "watchdog"


class Severity(StrEnum):
    """How much it matters; a page is an incident opened in or escalated to warning or critical."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Action(StrEnum):
    """What the product recommends."""

    RETRAIN = "retrain"
    HOLD = "hold"
    FIX_PIPELINE = "fix_pipeline"
    INVESTIGATE = "investigate"
    ROLLBACK = "rollback"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A point in a model's traffic. `row` is the 0-based count of its Served rows; the rest points into Kafka."""

    row: int
    ts: str
    topic: str
    partition: int
    offset: int


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """One bin of a culprit's window: counts on both sides and its share of the statistic."""

    name: str
    count: int
    reference_count: int
    contribution: float


class Culprit(msgspec.Struct, frozen=True, kw_only=True):
    """One series that moved, with what a stranger needs to recompute the number."""

    feature: str
    segment: str
    detector: str
    statistic: str
    value: float
    noise_floor: float
    threshold: float
    p_value: float | None
    window_rows: int
    window_start_row: int
    window_end_row: int
    onset_row: int
    bins: list[Bin]


class LossCause(StrEnum):
    """What a loss comes from."""

    COVARIATE = "covariate"  # the model is as good as before at each score; the mix of scores moved
    CONCEPT = "concept"  # it errs more at the same scores
    MIXED = "mixed"
    UNKNOWN = "unknown"  # the loss is less than two standard errors


class LossBin(msgspec.Struct, frozen=True, kw_only=True):
    """Labelled predictions in one bin, and the errors among them: since the onset, and in the reference."""

    name: str
    labels: int
    errors: int
    reference_labels: int
    reference_errors: int


class LossParts(msgspec.Struct, frozen=True, kw_only=True):
    """A loss in two parts: `loss` - `reference_loss` = `x_part` + `rest`.

    x_part: what the reference's loss would be in the mix of now, less what it was. rest: what the model does worse in
    the same bins. se: the standard error of the difference.
    """

    error: str  # the monitor whose errors are counted
    by: str  # what the bins are of: `score`, `prediction`, or dimensions of segments
    loss: float
    reference_loss: float
    x_part: float
    rest: float
    se: float
    verdict: LossCause
    bins: list[LossBin]


class LossCost(msgspec.Struct, frozen=True, kw_only=True):
    """What a loss costs at present: errors at their prices, less what the reference's cost, in money a day.

    Counted over the newest labels of predictions since the onset, at these predictions' own pace.
    """

    per_day: float
    low: float  # its 95 % interval
    high: float
    predictions_per_day: float
    labels: int
    false_negatives: int
    false_positives: int
    reference: float  # cost of a labelled prediction


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an incident event: its latest state."""

    incident_id: str
    model: str
    model_version: str
    kind: IncidentKind
    kinds: list[IncidentKind]
    severity: Severity
    cause: str
    recommended_action: Action
    summary: str
    onset: Place
    detected: Place
    culprits: list[Culprit]
    inside_segments: list[Culprit]
    chance_per_week: float
    by_chance_once_in: str
    rows_affected: int
    blast_radius: dict[str, float]  # segment to share of the affected rows
    baseline_hash: str
    configuration_version: int
    configuration_hash: str
    code_version: str
    loss_parts: list[LossParts] = []  # of a loss: by the score, and by the segments that make it up where some do
    later_onsets: list[Place] = []  # of a loss: where errors rose again while it lasted, the newest 16
    cost: LossCost | None = None  # of a loss, where errors have prices
    reason: str | None = None  # why it was accepted as the new normal, in the words of who did


class Unwatched(StrEnum):
    """What kind of thing is not watched."""

    COLUMN = "column"  # or a pair: it does not page on drift over all traffic
    SEGMENT = "segment"
    QUALITY = "quality"  # a share of rows that are not as they should be
    PERFORMANCE = "performance"
    PREDICTIONS = "predictions"
    LABELS = "labels"
    DETECTOR = "detector"  # one that failed
    INPUT = "input"  # a partition that is not read
    TIME = "time"  # in which no record came, not even a tick
    FEATURE = "feature"  # that producers send, and no configuration knows
    CONFIGURATION = "configuration"  # that is published, and not taken up everywhere


class NotWatched(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not watched now, and why, in words."""

    kind: Unwatched
    what: str
    why: str


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Proof of life of one model, at the first record after each whole heartbeat of log time."""

    model: str
    model_version: str
    log_time: str
    stream_time: str | None
    rows_served: int
    rows_labelled: int
    open_incidents: list[str]
    armed_all_traffic: float
    armed_segments: float
    not_armed: dict[str, str]  # column, or segment that has no reference yet, to reason
    faulted: dict[str, str]  # detector that failed to the error: a finding about us
    configuration_version: int
    not_watched: list[NotWatched] = []  # all of it: what is not armed, what failed, and what does not come
    profile_hash: str | None = None  # content hash of what live traffic has taught; None where it has not


IncidentAlert = CloudEvent[Incident]
HeartbeatAlert = CloudEvent[Heartbeat]
ComparisonAlert = CloudEvent[Comparison]


class AlertEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscriber reads first: everything but the data, which stays raw until its type is known."""

    id: str
    source: str
    type: IncidentEvent
    subject: str
    time: str
    data: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as a subscriber uses it: the envelope, and the data by its type."""

    id: str
    type: IncidentEvent
    time: str
    data: Incident | Heartbeat | Comparison

    @property
    def is_page(self) -> bool:
        """Return whether an incident was opened in or escalated to warning or critical."""
        return (
            self.type in (IncidentEvent.OPENED, IncidentEvent.ESCALATED)
            and isinstance(self.data, Incident)
            and self.data.severity is not Severity.INFO
        )


def decode_alert(value: bytes | None) -> Alert:
    """Return the alert in a record of the `alerts` topic.

    Raises:
        Malformed: `tombstone`, `empty`, `utf8`, `json`, `depth` or `schema`.
    """
    if value is None:
        raise Malformed("tombstone")
    if not value:
        raise Malformed("empty")
    try:
        envelope = msgspec.json.decode(value, type=AlertEnvelope)
        data: Incident | Heartbeat | Comparison
        if envelope.type is IncidentEvent.HEARTBEAT:
            data = msgspec.json.decode(envelope.data, type=Heartbeat)
        elif envelope.type in OF_CHALLENGERS.values():
            data = msgspec.json.decode(envelope.data, type=Comparison)
        else:
            data = msgspec.json.decode(envelope.data, type=Incident)
    except msgspec.ValidationError as exc:
        raise Malformed("schema", str(exc)) from exc
    except UnicodeDecodeError as exc:
        raise Malformed("utf8") from exc
    except RecursionError as exc:
        raise Malformed("depth") from exc
    except msgspec.DecodeError as exc:
        raise Malformed("json", str(exc)) from exc
    if data.model != envelope.subject:
        raise Malformed("schema", "the subject is not the model")
    return Alert(envelope.id, envelope.type, envelope.time, data)
