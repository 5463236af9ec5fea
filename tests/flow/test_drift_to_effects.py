"""From a changed world to the people and the orchestrator that must know: once each, whoever dies on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from services.notifier.adapters.memory_books import MemoryBooks
from shared.durations import UNITS_MS
from shared.events.alert import IncidentEvent, IncidentKind, Severity
from shared.identity import model_partition
from tests.kit.alerts import story_of
from tests.kit.observations import copies
from tests.kit.pipeline import URL, Pipeline, findings, monitored, traffic

MONITORS = monitored(loan={"retrain": {"when": "on_drift", "action": {"webhook": {"url": URL}}}})
STEADY = 2_000
EVENTS = traffic(STEADY) + traffic(2_000, first=STEADY, region="south")
PIECE = 250

Events = Sequence[tuple[dict[str, Any], dict[str, Any]]]


def pieces(events: Events) -> Iterable[Events]:
    return (events[start : start + PIECE] for start in range(0, len(events), PIECE))


def write(pipeline: Pipeline, events: Events) -> None:
    for predicted, labelled in events:
        pipeline.predict(**predicted)
        pipeline.label(**labelled)


def watched(fail: str = "") -> Pipeline:
    """Return a pipeline after all events, with services that died on the way."""
    pipeline = Pipeline(MONITORS, fail=fail)
    for events in pieces(EVENTS):
        pipeline.pass_time(UNITS_MS["h"] / 1_000)
        write(pipeline, events)
        pipeline.run()
    return pipeline


def test_a_drift_becomes_one_alert_one_request_and_one_line_for_people() -> None:
    pipeline = watched()

    (opened,) = (data for event, data in pipeline.incidents if event is IncidentEvent.OPENED)
    assert (opened.kind, opened.severity) == (IncidentKind.DATA_DRIFT, Severity.WARNING)
    assert {culprit.feature for culprit in pipeline.incidents[-1][1].culprits} == {"region"}
    assert abs(opened.onset.row - STEADY) <= 100

    assert [(entry.state.value, entry.cause, entry.incident_id) for entry in pipeline.retrainings] == [
        ("requested", "on_drift", opened.incident_id),
        ("accepted", "on_drift", opened.incident_id),
    ]
    (asked,) = pipeline.orchestrator.asked
    assert (asked.method, asked.url) == ("POST", URL)
    assert asked.headers["Idempotency-Key"] == pipeline.retrainings[0].effect_id

    (page,) = (notice for notice in pipeline.channel.notices if notice.is_page)
    assert story_of(page.data) == opened.incident_id
    assert page.text.startswith("[warning] loan v1: data drift opened; region")


def test_nothing_drifts_nobody_is_told() -> None:
    pipeline = Pipeline(MONITORS)

    for events in pieces(EVENTS[:STEADY]):
        pipeline.pass_time(UNITS_MS["h"] / 1_000)
        write(pipeline, events)
        pipeline.run()

    assert pipeline.incidents == []
    assert {alert.type for alert in pipeline.alerts.values()} == {IncidentEvent.HEARTBEAT}
    assert (pipeline.retrainings, pipeline.orchestrator.asked, pipeline.channel.notices) == ([], [], [])


def test_alerts_and_retrainings_of_a_model_are_on_its_partition() -> None:
    pipeline = watched()

    own = {model_partition("loan", pipeline.topics.alerts_partitions)}
    assert {record.partition for record in pipeline.alert_records} == own
    assert {record.partition for record in pipeline.broker.records(pipeline.topics.retraining)} == own


AFTER_THE_MERGE = (
    "joiner.after_read:exit@9",
    "joiner.emit:exit@21",
    "joiner.before_cas:exit@6",
    "joiner.after_cas:exit@14",
    "detector.before_checkpoint:exit@12",
    "retrain_trigger.after_decision:exit@1",
    "retrain_trigger.after_send:exit@1",
    "notifier.before_notices:exit@1",
    "notifier.after_notices:exit@2",
    "notifier.after_send:exit@1",
)
BEFORE_THE_MERGE = (
    "prediction_consumer.after_send:exit@3",
    "prediction_consumer.before_commit:exit@9",
    "ground_truth_consumer.after_poll:exit@20",
    "ground_truth_consumer.before_commit:exit@10",
)


def places(fail: Iterable[str]) -> set[str]:
    return {place.partition(":")[0] for place in fail}


def test_deaths_after_the_merge_change_no_alert_and_no_decision() -> None:
    undisturbed = watched()

    disturbed = watched(",".join(AFTER_THE_MERGE))

    assert set(disturbed.deaths) == places(AFTER_THE_MERGE)
    assert disturbed.alerts == undisturbed.alerts
    assert disturbed.observations == undisturbed.observations
    assert disturbed.counters("loan") == undisturbed.counters("loan")
    assert disturbed.retrainings == undisturbed.retrainings
    # They did work again: the same words on the log, the same key to the orchestrator. Not the alerts.
    assert copies(disturbed.broker.records(disturbed.topics.observations)) > 0
    assert len(disturbed.alert_records) == len(disturbed.alerts)
    assert disturbed.orchestrator.keys == undisturbed.orchestrator.keys * 2
    told, wanted = ([notice.id for notice in pipeline.channel.notices] for pipeline in (disturbed, undisturbed))
    assert told == [wanted[0], *wanted]


def test_deaths_before_the_merge_repeat_events_and_change_no_finding() -> None:
    undisturbed = watched()

    disturbed = watched(",".join(BEFORE_THE_MERGE))

    assert set(disturbed.deaths) == places(BEFORE_THE_MERGE)
    found, wanted = disturbed.counters("loan"), undisturbed.counters("loan")
    assert found.prediction_duplicates > 0
    assert found.label_duplicates > 0
    assert (found.served, found.labels_joined, found.unmatched_label) == (wanted.served, wanted.labels_joined, 0)
    assert findings(disturbed) == findings(undisturbed)
    assert disturbed.cohorts == undisturbed.cohorts
    assert len(disturbed.orchestrator.asked) == 1


def test_a_notifier_that_lost_its_place_tells_nothing_again() -> None:
    pipeline = watched()
    told = list(pipeline.channel.notices)

    pipeline.kill("notifier")
    pipeline.run()

    assert pipeline.channel.notices == told


def test_a_notifier_that_lost_its_book_tells_what_is_open() -> None:
    pipeline = watched()
    told = len(pipeline.channel.notices)

    pipeline.books = MemoryBooks()
    pipeline.kill("notifier")
    pipeline.run()

    (again,) = pipeline.channel.notices[told:]
    assert (again.id, again.event) == (pipeline.channel.notices[0].id, IncidentEvent.OPENED)
    assert again.data == pipeline.incidents[-1][1]


def test_a_retrain_trigger_that_lost_its_place_decides_nothing_again() -> None:
    pipeline = watched()
    decided = pipeline.retrainings

    pipeline.kill("retrain_trigger")
    pipeline.run()

    assert pipeline.retrainings == decided
    assert len(pipeline.orchestrator.asked) == 1
