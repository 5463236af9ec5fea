"""Timelines of a performance incident: confirmed losses and recoveries in, changes out."""

from __future__ import annotations

from services.detector.causes.watch import Cause
from services.detector.incidents.drift import Change
from services.detector.incidents.incident import OpenIncident
from services.detector.incidents.performance import PerformanceIncidents
from services.detector.structs import decode_struct, encode_struct
from shared.events.alert import Culprit, IncidentKind, Place, Severity
from tests.kit.traffic import names

OPENED, UPDATED, RESOLVED = Change.OPENED, Change.UPDATED, Change.RESOLVED
LOSS, CONCEPT = IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.CONCEPT_DRIFT
MIX = IncidentKind.TRAFFIC_MIX
LOST = Cause([LOSS], Severity.CRITICAL, [])


def place(row: int) -> Place:
    return Place(row=row, ts="2024-01-01T00:00:00Z", topic="labels", partition=0, offset=row)


def lose(
    incidents: PerformanceIncidents,
    monitor: str,
    *,
    value: float = 0.4,
    chance: float = 1e-3,
    at: int = 100,
    cause: Cause = LOST,
) -> Change | None:
    culprit = Culprit(
        feature=monitor,
        segment="all",
        detector="lr_cusum",
        statistic="rate",
        value=value,
        noise_floor=0.05,
        threshold=0.12,
        p_value=None,
        window_rows=50,
        window_start_row=0,
        window_end_row=99,
        onset_row=0,
        bins=[],
    )
    return incidents.detect("id", culprit, place(at - 50), place(at), chance, cause)


def opened(*monitors: str) -> PerformanceIncidents:
    incidents = PerformanceIncidents()
    told = [lose(incidents, monitor) for monitor in monitors]
    assert told == [OPENED] + [UPDATED] * (len(monitors) - 1)
    return incidents


def current(incidents: PerformanceIncidents) -> OpenIncident:
    assert incidents.open is not None
    return incidents.open


def test_the_first_loss_opens_a_critical_incident() -> None:
    incident = current(opened("error"))

    assert incident.severity is Severity.CRITICAL
    assert (incident.onset.row, incident.detected.row) == (50, 100)
    assert names(list(incident.leading().values())) == {"error"}


def test_a_loss_is_what_its_cause_makes_it_and_is_updated_when_that_turns() -> None:
    incidents = opened("error")
    concept = Cause([CONCEPT, LOSS], Severity.CRITICAL, [])

    assert current(incidents).kinds == [LOSS]
    assert (incidents.explain(LOST), incidents.explain(concept), incidents.explain(concept)) == (None, UPDATED, None)
    assert current(incidents).kinds == [CONCEPT, LOSS]


def test_a_mix_of_traffic_that_turns_out_to_be_a_loss_is_escalated() -> None:
    incidents = PerformanceIncidents()
    lose(incidents, "error", cause=Cause([MIX, LOSS], Severity.WARNING, []))

    assert current(incidents).severity is Severity.WARNING
    assert lose(incidents, "error", cause=LOST) is Change.ESCALATED
    assert current(incidents).severity is Severity.CRITICAL


def test_another_monitor_is_an_update_and_the_same_one_again_is_not() -> None:
    incidents = opened("error", "false_positive")

    assert lose(incidents, "error", value=0.6, chance=1e-9, at=900) is None

    incident = current(incidents)
    assert {culprit.feature: culprit.value for culprit in incident.culprits.values()} == {
        "error": 0.6,
        "false_positive": 0.4,
    }
    assert (incident.chance_per_week, incident.detected.row) == (1e-9, 100)


def test_a_likelier_loss_leaves_the_chance_as_it_was() -> None:
    incidents = opened("error")
    lose(incidents, "false_positive", chance=0.5)

    assert current(incidents).chance_per_week == 1e-3


def test_it_resolves_when_the_last_monitor_is_back() -> None:
    incidents = opened("error", "false_positive")

    assert incidents.recover("false_positive") is None
    assert incidents.recover("false_positive") is None
    assert incidents.recover("error") is RESOLVED


def test_a_monitor_that_fires_again_must_come_back_again() -> None:
    incidents = opened("error", "false_positive")
    incidents.recover("error")

    assert lose(incidents, "error") is None
    assert incidents.recover("false_positive") is None
    assert incidents.recover("error") is RESOLVED


def test_a_recovery_without_an_incident_says_nothing() -> None:
    incidents = PerformanceIncidents()

    assert incidents.recover("error") is None
    assert incidents == PerformanceIncidents()


def test_a_closed_incident_leaves_nothing_behind() -> None:
    incidents = opened("error", "false_positive")
    incidents.recover("error")
    incidents.close()

    assert incidents == PerformanceIncidents()
    assert lose(incidents, "false_positive") is OPENED
    assert names(list(current(incidents).leading().values())) == {"false_positive"}


def test_an_incident_survives_a_checkpoint() -> None:
    incidents = opened("error", "false_positive")
    incidents.recover("error")
    restored = decode_struct(encode_struct(incidents), PerformanceIncidents)

    assert restored == incidents
    assert restored.recover("false_positive") is RESOLVED
