"""Alerts as the detector writes them, with only what a test cares about to say."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shared.events.alert import (
    OF_CHALLENGERS,
    Action,
    Alert,
    Bin,
    ComparisonAlert,
    Culprit,
    Heartbeat,
    HeartbeatAlert,
    Incident,
    IncidentAlert,
    IncidentEvent,
    IncidentKind,
    Place,
    Severity,
    decode_alert,
)
from shared.events.comparison import ADVICE, Comparison, Difference, Verdict
from shared.identity import model_partition
from shared.log import Outgoing
from shared.topics import Topics

MODEL = "car_loan"


def culprit(feature: str = "income", segment: str = "all", value: float = 0.31) -> Culprit:
    return Culprit(
        feature=feature,
        segment=segment,
        detector="histogram",
        statistic="psi",
        value=value,
        noise_floor=0.0123,
        threshold=0.1,
        p_value=1e-9,
        window_rows=1000,
        window_start_row=12_000,
        window_end_row=12_999,
        onset_row=12_100,
        bins=[Bin(name="(-inf, 10]", count=400, reference_count=100, contribution=0.2)],
    )


def place(row: int) -> Place:
    return Place(row=row, ts="2026-03-01T00:00:00.000Z", topic="driftline.observations", partition=0, offset=row)


def incident(
    *,
    model: str = MODEL,
    incident_id: str = "i1",
    kinds: Sequence[IncidentKind] = (IncidentKind.DATA_DRIFT,),
    severity: Severity = Severity.WARNING,
    action: Action = Action.INVESTIGATE,
    culprits: Sequence[Culprit] = (),
    inside_segments: Sequence[Culprit] = (),
) -> Incident:
    return Incident(
        incident_id=incident_id,
        model=model,
        model_version="v3",
        kind=kinds[0],
        kinds=list(kinds),
        severity=severity,
        cause="covariate_shift",
        recommended_action=action,
        summary="",
        onset=place(12_100),
        detected=place(12_999),
        culprits=list(culprits),
        inside_segments=list(inside_segments),
        chance_per_week=0.001,
        by_chance_once_in="19 years",
        rows_affected=900,
        blast_radius={"all": 1.0},
        baseline_hash="b" * 32,
        configuration_version=0,
        configuration_hash="c" * 32,
        code_version="0.1.0",
    )


def incident_bytes(event: IncidentEvent, data: Incident, *, alert_id: str | None = None) -> bytes:
    return msgspec.json.encode(
        IncidentAlert(
            id=alert_id or f"{data.incident_id}.{event.name.lower()}",
            source="/driftline/main/detector",
            type=event.value,
            subject=data.model,
            time="2026-03-01T00:00:00.000Z",
            data=data,
        )
    )


def incident_alert(event: IncidentEvent, data: Incident) -> Alert:
    return decode_alert(incident_bytes(event, data))


def comparison(
    verdict: Verdict = Verdict.BETTER, *, model: str = MODEL, challenger: str = "v4", comparison_id: str = "c1"
) -> Comparison:
    won, lost = {Verdict.BETTER: (40, 10), Verdict.WORSE: (10, 40), Verdict.UNDECIDED: (12, 8)}[verdict]
    return Comparison(
        comparison_id=comparison_id,
        model=model,
        model_version=challenger,
        champion="v3",
        metric="error",
        loss_bound=1.0,
        margin=0.0,
        alpha=0.05,
        verdict=verdict,
        advice=ADVICE[verdict],
        pairs=200,
        challenger_won=won,
        challenger_lost=lost,
        differences=[Difference(-100, lost), Difference(0, 200 - won - lost), Difference(100, won)],
        estimate=(won - lost) / 200,
        estimate_low=(won - lost) / 200 - 0.07,
        estimate_high=(won - lost) / 200 + 0.07,
        e_better=1.0,
        e_worse=1.0,
        e_needed=40.0,
        labels_needed=2519 if verdict is Verdict.UNDECIDED else 0,
        unpaired=3,
        begun="2026-02-20T08:00:00.000Z",
        configuration_version=0,
        configuration_hash="c" * 32,
        code_version="0.1.0",
    )


def comparison_bytes(data: Comparison, *, alert_id: str | None = None) -> bytes:
    return msgspec.json.encode(
        ComparisonAlert(
            id=alert_id or f"{data.comparison_id}.{data.verdict}",
            source="/driftline/main/detector",
            type=OF_CHALLENGERS[data.verdict].value,
            subject=data.model,
            time="2026-03-01T00:00:00.000Z",
            data=data,
        )
    )


def story_of(told: Incident | Comparison) -> str:
    """Return the id of the incident or of the comparison."""
    return told.incident_id if isinstance(told, Incident) else told.comparison_id


def heartbeat_bytes(alert_id: str = "h", *, model: str = MODEL) -> bytes:
    return msgspec.json.encode(
        HeartbeatAlert(
            id=alert_id,
            source="/driftline/main/detector",
            type=IncidentEvent.HEARTBEAT.value,
            subject=model,
            time="2026-03-01T00:00:00.000Z",
            data=Heartbeat(
                model=model,
                model_version="v3",
                log_time="2026-03-01T00:00:00.000Z",
                stream_time=None,
                rows_served=10,
                rows_labelled=0,
                open_incidents=[],
                armed_all_traffic=1.0,
                armed_segments=1.0,
                not_armed={},
                faulted={},
                configuration_version=0,
            ),
        )
    )


def on_alerts(topics: Topics, value: bytes | None, *, model: str = MODEL, at_ms: int | None = None) -> Outgoing:
    """Return the record, on the model's partition."""
    return Outgoing(
        topic=topics.alerts,
        key=model.encode(),
        value=value,
        partition=model_partition(model, topics.alerts_partitions),
        timestamp_ms=at_ms,
    )
