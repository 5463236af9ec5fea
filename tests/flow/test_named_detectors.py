"""Detectors that people name, in the whole pipeline: told to whoever reads on, and to nobody who is asked to act."""

from __future__ import annotations

from functools import cache

from shared.durations import UNITS_MS
from shared.events.alert import Incident, IncidentEvent, IncidentKind, Severity
from tests.kit.pipeline import URL, Pipeline, monitored, traffic

STEADY = 1_000
# The answers of all later rows are wrong, and half of the amounts are not what they were.
EVENTS = traffic(STEADY) + [
    (predicted, {**labelled, "label": 1 - labelled["label"]})
    for predicted, labelled in traffic(200, first=STEADY, amount=9e6)
]
PIECE = 250
DETECTORS = [
    {"name": "hddm_a", "signal": "error"},
    {"name": "adwin", "signal": "amount"},
    {"name": "river.drift.binary.DDM", "signal": "error", "parameters": {"drift_threshold": 6.0}},
    {"name": "page_hinkley", "signal": "term", "parameters": {"threshold": 500.0}},
]


@cache
def watched(*, is_named: bool, dies_at: str = "") -> Pipeline:
    """Return a pipeline after all events."""
    detectors = DETECTORS if is_named else []
    retrain = {"when": "on_accuracy_drop OR on_drift", "action": {"webhook": {"url": URL}}}
    pipeline = Pipeline(monitored(loan={"detectors": detectors, "retrain": retrain}), fail=dies_at)
    for start in range(0, len(EVENTS), PIECE):
        pipeline.pass_time(UNITS_MS["h"] / 1_000)
        for predicted, labelled in EVENTS[start : start + PIECE]:
            pipeline.predict(**predicted)
            pipeline.label(**labelled)
        pipeline.run()
    return pipeline


def named(pipeline: Pipeline) -> list[tuple[IncidentEvent, Incident]]:
    return [(event, data) for event, data in pipeline.incidents if data.culprits[0].detector.startswith("advisory:")]


def test_what_named_detectors_find_is_told_as_info() -> None:
    found = {data.cause: (event, data.kind, data.severity) for event, data in named(watched(is_named=True))}

    opened, info = IncidentEvent.OPENED, Severity.INFO
    assert found == {
        "the detector hddm_a on error found a change": (opened, IncidentKind.CONCEPT_DRIFT, info),
        "the detector adwin on amount found a change": (opened, IncidentKind.DATA_DRIFT, info),
        "the detector river.drift.binary.DDM(drift_threshold=6.0) on error found a change": (
            opened,
            IncidentKind.CONCEPT_DRIFT,
            info,
        ),
    }
    rows = [(data.onset.row, data.detected.row) for _, data in named(watched(is_named=True))]
    assert all(STEADY - 50 <= onset <= detected < STEADY + 200 for onset, detected in rows)


def test_nobody_is_asked_to_retrain_by_them() -> None:
    pipeline = watched(is_named=True)

    ours = {data.incident_id for _, data in named(pipeline)}
    asked = {decision.incident_id for decision in pipeline.retrainings}
    assert asked == {decision.incident_id for decision in pipeline.retrainings} - ours
    assert len(pipeline.retrainings) == len(watched(is_named=False).retrainings)


def test_what_is_calibrated_is_told_the_same_with_and_without_them() -> None:
    with_them, without = watched(is_named=True), watched(is_named=False)

    ours = {data.incident_id for _, data in named(with_them)}
    told = [
        [(event, data.kind, data.onset.row, data.detected.row) for event, data in found]
        for found in ([one for one in with_them.incidents if one[1].incident_id not in ours], without.incidents)
    ]
    assert told[0] == told[1] != []


def test_deaths_change_nothing_that_they_tell() -> None:
    undisturbed = watched(is_named=True)

    disturbed = watched(is_named=True, dies_at="detector.before_checkpoint:exit@5,joiner.after_cas:exit@6")

    assert len(disturbed.deaths) == 2
    assert disturbed.alerts == undisturbed.alerts
