"""The new normal, all the way: a drift is found, accepted, gone on with in silence, and brought back."""

from __future__ import annotations

from typing import Any

from services.cli.acceptance import NEEDED_ROWS, Request, accept, undone
from services.cli.stories import stories
from shared.control import read_catalogue
from shared.durations import UNITS_MS
from shared.events.alert import Incident, IncidentEvent
from tests.kit.pipeline import NOW, URL, Pipeline, monitored, traffic

MONITORS = monitored(loan={"retrain": {"when": "on_drift", "action": {"webhook": {"url": URL}}}})
STEADY = 1_000
DRIFTED = STEADY + NEEDED_ROWS + 500
ON, BACK = DRIFTED + 3_000, DRIFTED + 5_000
REASON = "loans of the EU launch are ten times as large"


def larger(predicted: dict[str, Any]) -> dict[str, Any]:
    features = predicted["features"]
    return {**predicted, "features": {**features, "amount": features["amount"] * 10}}


EVENTS = [
    (predicted if number < STEADY else larger(predicted), labelled)
    for number, (predicted, labelled) in enumerate(traffic(BACK))
]


def pass_through(pipeline: Pipeline, start: int, stop: int) -> list[tuple[IncidentEvent, Incident]]:
    """Let rows pass; return what was told of incidents meanwhile."""
    before = len(pipeline.incidents)
    for first in range(start, stop, 500):
        pipeline.pass_time(UNITS_MS["h"] / 1_000)
        for predicted, labelled in EVENTS[first : min(first + 500, stop)]:
            pipeline.predict(**predicted)
            pipeline.label(**labelled)
        pipeline.run()
    return pipeline.incidents[before:]


def test_a_drift_that_is_accepted_is_no_incident_until_that_is_undone() -> None:
    pipeline = Pipeline(MONITORS)

    found = pass_through(pipeline, 0, DRIFTED)
    (opened,) = (data for event, data in found if event is IncidentEvent.OPENED)
    request = Request(opened.incident_id, REASON, NOW)
    accepted = accept(pipeline.broker.reader(), pipeline.topics, request, lambda _step, _share: None)
    pipeline.publish(accepted.publication)
    went_on = pass_through(pipeline, DRIFTED, ON)

    ((event, closed),) = went_on
    assert (event, closed.incident_id, closed.reason) == (IncidentEvent.ACCEPTED, opened.incident_id, REASON)
    assert accepted.disarmed == {}
    assert [record.value for record in pipeline.broker.records(pipeline.topics.incidents)][-1] is None
    assert len(pipeline.orchestrator.asked) == 1
    assert f"data drift accepted as the new normal: {REASON}; " in pipeline.channel.notices[-1].text

    catalogue = read_catalogue(pipeline.broker.reader(), pipeline.topics)
    assert [len(story.accepts) for story in stories(catalogue, "loan")] == [1, 0]

    pipeline.publish(undone(catalogue, "loan"))
    brought_back = pass_through(pipeline, ON, BACK)

    again = [data for event, data in brought_back if event is IncidentEvent.OPENED]
    assert {culprit.feature for culprit in again[0].culprits} == {"amount"}
    assert again[0].baseline_hash == opened.baseline_hash != accepted.publication.definition.baseline_hash
    assert again[0].configuration_version > opened.configuration_version
