"""Silence, from the producer that says nothing more to the people who are told."""

from __future__ import annotations

from shared.events.alert import IncidentEvent
from tests.kit.pipeline import Pipeline, monitored, traffic

STEP_SECONDS = 30.0
OPENED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.RESOLVED


def pass_minutes(pipeline: Pipeline, minutes: int) -> None:
    for _ in range(int(minutes * 60 / STEP_SECONDS)):
        pipeline.pass_time(STEP_SECONDS)
        pipeline.run()


def test_only_ticks_come_and_a_silence_is_told_until_predictions_come_again() -> None:
    pipeline = Pipeline(monitored(loan={"watchdog": {"no_predictions": "10m"}}, house={}))
    for predicted, _ in traffic(200):
        pipeline.predict(**predicted)
        pipeline.predict(**predicted | {"model": "house"})
    pipeline.run()

    pass_minutes(pipeline, 9)
    assert pipeline.incidents == []
    pass_minutes(pipeline, 4)
    ((event, data),) = pipeline.incidents
    assert (event, data.model, data.cause) == (OPENED, "loan", "no predictions for 11 m, more than 10 m")

    for predicted, _ in traffic(10, first=200):
        pipeline.predict(**predicted)
    pipeline.run()
    assert [event for event, _ in pipeline.incidents] == [OPENED, RESOLVED]


def test_a_detector_that_dies_in_the_silence_tells_of_it_once() -> None:
    pipeline = Pipeline(monitored(loan={"watchdog": {"no_predictions": "10m"}}))
    for predicted, _ in traffic(200):
        pipeline.predict(**predicted)
    pipeline.run()

    for _ in range(7):
        pass_minutes(pipeline, 2)
        pipeline.kill("detector", "joiner")
    pipeline.run()

    assert [event for event, _ in pipeline.incidents] == [OPENED]


def test_services_that_stood_still_are_no_silence_of_the_model() -> None:
    pipeline = Pipeline(monitored(loan={"watchdog": {"no_predictions": "10m"}}))
    for predicted, _ in traffic(200):
        pipeline.predict(**predicted)
    pipeline.run()

    pipeline.pass_time(3_600.0)
    pass_minutes(pipeline, 5)

    assert pipeline.incidents == []
