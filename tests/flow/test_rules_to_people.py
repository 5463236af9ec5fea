"""Rules in the whole pipeline: from events to the people who brought them, beside what is calibrated."""

from __future__ import annotations

from functools import cache

from shared.durations import UNITS_MS
from shared.events.alert import Incident, IncidentEvent, IncidentKind, Severity
from tests.kit.alerts import story_of
from tests.kit.pipeline import URL, Pipeline, monitored, traffic

STEADY = 2_000
EVENTS = traffic(STEADY) + traffic(2_000, first=STEADY, region="south")
PIECE = 250
DATA_DRIFT = IncidentKind.DATA_DRIFT
RULES = [
    "psi(region) > 0.2",
    "missing_rate(*) > 0.5",
    {"when": "linf(region, channel=web) > 0.3", "every": "300 events", "severity": "critical"},
    {"expect": "new_category_rate(*) <= 0.1", "severity": "info"},
]


@cache
def watched(*, is_ruled: bool, dies_at: str = "") -> Pipeline:
    """Return a pipeline after all events."""
    rules = RULES if is_ruled else []
    retrain = {"when": "on_drift", "action": {"webhook": {"url": URL}}}
    pipeline = Pipeline(monitored(loan={"alerts": {"rules": rules}, "retrain": retrain}), fail=dies_at)
    for start in range(0, len(EVENTS), PIECE):
        pipeline.pass_time(UNITS_MS["h"] / 1_000)
        for predicted, labelled in EVENTS[start : start + PIECE]:
            pipeline.predict(**predicted)
            pipeline.label(**labelled)
        pipeline.run()
    return pipeline


def by_rules(pipeline: Pipeline) -> list[tuple[IncidentEvent, Incident]]:
    return [(event, data) for event, data in pipeline.incidents if data.culprits[0].detector == "rule"]


def calibrated(pipeline: Pipeline) -> list[tuple[IncidentEvent, str, int, int, tuple[tuple[str, str], ...], float]]:
    """Return what is told of calibrated incidents, without names that hold the configuration's hash."""
    ours = [data.incident_id for _, data in by_rules(pipeline)]
    return [
        (
            event,
            data.kind.value,
            data.onset.row,
            data.detected.row,
            tuple((culprit.feature, culprit.segment) for culprit in data.culprits),
            data.chance_per_week,
        )
        for event, data in pipeline.incidents
        if data.incident_id not in ours
    ]


def test_a_rule_that_fires_reaches_people_with_its_words_and_its_severity() -> None:
    pipeline = watched(is_ruled=True)

    opened = {data.cause: data for event, data in by_rules(pipeline) if event is IncidentEvent.OPENED}

    assert {cause: (data.severity, data.kind) for cause, data in opened.items()} == {
        "the rule psi(region) > 0.2 fired: region": (Severity.WARNING, DATA_DRIFT),
        "the rule linf(region, channel=web) > 0.3 every 300 events fired: region": (Severity.CRITICAL, DATA_DRIFT),
    }
    assert {data.detected.row for data in opened.values()} == {2_371, 2_999}  # the 300th row on the web, the 1,000th
    ours = {data.incident_id for data in opened.values()}
    told = [notice.text.partition(":")[0] for notice in pipeline.channel.notices if story_of(notice.data) in ours]
    assert sorted(told) == ["[critical] loan v1", "[warning] loan v1"]


def test_what_is_calibrated_is_told_the_same_with_and_without_rules() -> None:
    with_rules, without = watched(is_ruled=True), watched(is_ruled=False)

    assert by_rules(without) == []
    assert [event for event, *_ in calibrated(without)].count(IncidentEvent.OPENED) == 1
    assert calibrated(with_rules) == calibrated(without)


def test_deaths_change_nothing_that_rules_tell() -> None:
    undisturbed = watched(is_ruled=True)

    disturbed = watched(is_ruled=True, dies_at="detector.before_checkpoint:exit@12,joiner.after_cas:exit@14")

    assert len(disturbed.deaths) == 2
    assert disturbed.alerts == undisturbed.alerts
