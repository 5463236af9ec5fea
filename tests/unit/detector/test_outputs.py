"""What the detector writes: envelopes, ids that a repetition gives again, and the latest state of what is open."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.detector.outputs import Outputs
from shared.events.alert import (
    CLOSING,
    Action,
    Heartbeat,
    HeartbeatAlert,
    Incident,
    IncidentAlert,
    IncidentEvent,
    IncidentKind,
    Place,
    Severity,
)
from shared.events.schemas import FOLDER
from shared.identity import model_partition
from shared.topics import Topics
from tests.kit.traffic import MODEL, START_MS, Log, alerts, fold_of, folded, rows

TOPICS = Topics(prefix="here.", alerts_partitions=4)
OUTPUTS = Outputs(TOPICS, "main")
PLACE = Place(row=0, ts="2024-01-01T00:00:00Z", topic="predictions", partition=0, offset=0)
INCIDENT = Incident(
    incident_id="0123456789abcdef01234567",
    model="loans",
    model_version="v1",
    kind=IncidentKind.DATA_DRIFT,
    kinds=[IncidentKind.DATA_DRIFT],
    severity=Severity.WARNING,
    cause="the inputs changed: amount",
    recommended_action=Action.INVESTIGATE,
    summary="loans v1",
    onset=PLACE,
    detected=PLACE,
    culprits=[],
    inside_segments=[],
    chance_per_week=1e-3,
    by_chance_once_in="19 years",
    rows_affected=1,
    blast_radius={"all": 1.0},
    baseline_hash="b",
    configuration_version=1,
    configuration_hash="c",
    code_version="1",
)
HEARTBEAT = Heartbeat(
    model="loans",
    model_version="v1",
    log_time="2023-11-14T22:13:20Z",
    stream_time=None,
    rows_served=0,
    rows_labelled=0,
    open_incidents=[],
    armed_all_traffic=1.0,
    armed_segments=1.0,
    not_armed={},
    faulted={},
    configuration_version=1,
)


def envelope(value: bytes | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(value or b"")
    return found


def test_an_incident_is_a_cloud_event_on_the_partition_of_its_model() -> None:
    alert, _ = OUTPUTS.incident(IncidentEvent.OPENED, 0, INCIDENT, START_MS)

    assert (alert.topic, alert.key, alert.timestamp_ms) == (TOPICS.alerts, b"loans", START_MS)
    assert alert.partition == model_partition("loans", 4)
    assert dict(alert.headers)["content-type"] == b"application/cloudevents+json; charset=utf-8"
    sent = envelope(alert.value)
    identity, data = sent.pop("id"), sent.pop("data")
    assert len(identity) == 32
    assert msgspec.convert(data, Incident) == INCIDENT
    assert sent == {
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "source": "/driftline/main/detector",
        "type": "driftline.incident.opened",
        "subject": "loans",
        "time": "2023-11-14T22:13:20.000Z",
    }


def test_a_heartbeat_is_a_cloud_event_beside_the_incidents_of_its_model() -> None:
    beat = OUTPUTS.heartbeat(HEARTBEAT, 5, START_MS)
    alert, _ = OUTPUTS.incident(IncidentEvent.OPENED, 0, INCIDENT, START_MS)

    assert (beat.topic, beat.key, beat.partition) == (alert.topic, alert.key, alert.partition)
    assert envelope(beat.value)["type"] == "driftline.heartbeat"
    assert msgspec.convert(envelope(beat.value)["data"], Heartbeat) == HEARTBEAT


def test_the_same_event_has_the_same_id_whenever_it_is_written() -> None:
    first, again = (OUTPUTS.incident(IncidentEvent.UPDATED, 1, INCIDENT, at)[0] for at in (START_MS, START_MS + 5))

    assert envelope(first.value)["id"] == envelope(again.value)["id"]


def test_different_events_have_different_ids() -> None:
    other = msgspec.structs.replace(INCIDENT, incident_id="f" * 24)
    written = [
        OUTPUTS.incident(IncidentEvent.OPENED, 0, INCIDENT, 0)[0],
        OUTPUTS.incident(IncidentEvent.UPDATED, 1, INCIDENT, 0)[0],
        OUTPUTS.incident(IncidentEvent.UPDATED, 2, INCIDENT, 0)[0],
        OUTPUTS.incident(IncidentEvent.OPENED, 0, other, 0)[0],
        OUTPUTS.heartbeat(HEARTBEAT, 5, 0),
        OUTPUTS.heartbeat(HEARTBEAT, 6, 0),
        OUTPUTS.heartbeat(msgspec.structs.replace(HEARTBEAT, model="cars"), 5, 0),
    ]

    assert len({envelope(message.value)["id"] for message in written}) == len(written)


@pytest.mark.parametrize("event", [IncidentEvent.OPENED, IncidentEvent.UPDATED, IncidentEvent.ESCALATED])
def test_the_latest_state_of_an_open_incident_is_its_last_event(event: IncidentEvent) -> None:
    alert, latest = OUTPUTS.incident(event, 3, INCIDENT, START_MS)

    assert (latest.topic, latest.key) == (TOPICS.incidents, INCIDENT.incident_id.encode())
    assert (latest.value, latest.partition, latest.headers) == (alert.value, alert.partition, alert.headers)


@pytest.mark.parametrize("event", CLOSING)
def test_an_incident_that_is_closed_has_no_latest_state(event: IncidentEvent) -> None:
    alert, latest = OUTPUTS.incident(event, 3, INCIDENT, START_MS)

    assert envelope(alert.value)["type"] == event
    assert (latest.key, latest.value, latest.partition) == (INCIDENT.incident_id.encode(), None, alert.partition)


def busy() -> Log:
    """Return a log whose inputs and answers change and come back, with ticks."""
    log = Log(rows(8_000, drift_at=2_000, error_rate=0.4))
    for start in range(0, 8_000, 1_000):
        log.serve(start, start + 1_000)
        log.label(start, start + 1_000)
        log.tick()
    return log


def test_everything_that_is_told_has_all_that_its_schema_requires() -> None:
    found = [message.value for message in folded(fold_of(), busy().records) if message.value is not None]
    schemas = {
        name: msgspec.json.decode((FOLDER / f"{name}.json").read_bytes())["$defs"][definition]
        for name, definition in (("incident", "Incident"), ("heartbeat", "Heartbeat"))
    }

    kinds = set()
    for value in found:
        sent = envelope(value)
        kind = "heartbeat" if sent["type"] == IncidentEvent.HEARTBEAT else "incident"
        assert set(schemas[kind]["required"]) <= set(sent["data"]) <= set(schemas[kind]["properties"])
        event: type[HeartbeatAlert | IncidentAlert] = HeartbeatAlert if kind == "heartbeat" else IncidentAlert
        decoded = msgspec.json.decode(value, type=event)
        assert decoded.subject == decoded.data.model == MODEL
        assert msgspec.json.encode(decoded) == value
        kinds.add(kind)
    assert kinds == {"incident", "heartbeat"}


def test_a_log_that_is_folded_again_gives_the_same_ids_and_no_id_twice() -> None:
    log = busy()
    told = alerts(folded(fold_of(), log.records))

    assert alerts(folded(fold_of(), log.records)) == told
    assert len({alert.id for alert in told}) == len(told)
