"""A model without a reference, all the way: silent while it warms up, watched once it has learned its baseline."""

from __future__ import annotations

from services.cli.acceptance import NEEDED_ROWS
from services.cli.warm_up import WarmUp, WarmUps, learn, still_wanted
from services.detector.stream_time import WIDTH
from services.detector.warming import WARMING_UP
from shared.control import read_catalogue
from shared.definition import ServedRows
from shared.durations import UNITS_MS
from shared.events.alert import Heartbeat, Incident, IncidentEvent
from shared.events.block import BlockKind
from tests.kit.pipeline import Pipeline, monitored, traffic

KINDS = {"amount": "numeric", "term": "numeric", "region": "categorical", "repaid_before": "categorical"}
MONITORS = monitored(
    loan={
        "reference": None,
        "warm_up": "14d",
        "classes": [0, 1],
        "features": {name: {"kind": kind} for name, kind in KINDS.items()},
    }
)
WARM = NEEDED_ROWS + WIDTH
STEADY, STOP = WARM + 2_000, WARM + 5_000


def pass_through(
    pipeline: Pipeline, start: int, stop: int, factor: float = 1.0
) -> list[tuple[IncidentEvent, Incident]]:
    """Let rows pass; return what was told of incidents meanwhile."""
    before = len(pipeline.incidents)
    for number, (predicted, labelled) in enumerate(EVENTS[start:stop]):
        if number % 500 == 0:
            pipeline.run()
            pipeline.pass_time(UNITS_MS["h"] / 1_000)
        features = predicted["features"] | {"amount": predicted["features"]["amount"] * factor}
        pipeline.predict(**predicted | {"features": features})
        pipeline.label(**labelled)
    pipeline.pass_time(UNITS_MS["h"] / 1_000)
    pipeline.run()
    return pipeline.incidents[before:]


def newest(pipeline: Pipeline) -> Heartbeat:
    return [alert.data for alert in pipeline.alerts.values() if isinstance(alert.data, Heartbeat)][-1]


EVENTS = traffic(STOP)


def test_a_model_without_a_reference_is_watched_once_it_has_learned_what_is_normal() -> None:
    pipeline = Pipeline(MONITORS)
    warm_ups = WarmUps(pipeline.broker.reader(), pipeline.topics)

    def give(one: WarmUp) -> ServedRows:
        built = warm_ups.build(one, lambda _step, _share: None)
        for found in still_wanted(read_catalogue(pipeline.broker.reader(), pipeline.topics), built.publication):
            pipeline.publish(found)
        return built.rows

    silent = pass_through(pipeline, 0, WARM - 1)
    too_early = learn(warm_ups, give, print, pipeline.clock, wait=False)
    warming = newest(pipeline)
    silent += pass_through(pipeline, WARM - 1, WARM)
    learned = learn(warm_ups, give, print, pipeline.clock, wait=False)

    assert (silent, list(too_early.warming_up), learned.learned["loan"].rows) == ([], ["loan"], NEEDED_ROWS)
    assert set(warming.not_armed) == {*KINDS, "prediction", "score"}
    assert all(why.startswith(WARMING_UP) for why in warming.not_armed.values())
    assert pipeline.dead_letters == []
    assert len(pipeline.rows(BlockKind.LABELLED)) == WARM

    steady = pass_through(pipeline, WARM, STEADY)
    watched = newest(pipeline)
    drifted = pass_through(pipeline, STEADY, STOP, factor=10.0)

    assert steady == []
    assert (watched.armed_all_traffic, watched.not_armed) == (1.0, {})
    opened = [data for event, data in drifted if event is IncidentEvent.OPENED]
    assert [{culprit.feature for culprit in data.culprits} for data in opened] == [{"amount"}]
    assert learn(warm_ups, give, print, pipeline.clock, wait=False).learned == {}
