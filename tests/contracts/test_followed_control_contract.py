"""Definitions are taken up while a service runs, from a log in memory and from Kafka."""

from __future__ import annotations

from shared.adapters.memory import ManualClock
from shared.control import FOLLOW_SECONDS, FollowedControl
from shared.definition import Definition, ModelSchema, control_records
from shared.identity import content_hash
from shared.monitors import ModelSpec
from tests.kit.logs import LogUnderTest, write
from tests.kit.waiting import until

BASELINE = b"baseline"


def definition(horizon: str) -> Definition:
    spec = ModelSpec(task="regression", reference="r.csv", label_horizon=horizon)
    schema = ModelSchema(features={}, classes=[], scores=[])
    return Definition(model="m", spec=spec, schema=schema, baseline_hash=content_hash(BASELINE))


def publish(log: LogUnderTest, one: Definition) -> None:
    write(log, *control_records(log.topics, one, BASELINE))


def test_what_is_published_is_known_at_the_start_or_at_a_later_look(log: LogUnderTest) -> None:
    first, second = definition("1d"), definition("2d")
    for spec in log.topics.specs():
        log.create(spec)
    publish(log, first)
    clock = ManualClock()
    control = FollowedControl(log.reader(), log.topics, clock)
    known = [control.catalogue.version("m")]

    def looked() -> int:
        clock.sleep(FOLLOW_SECONDS)
        control.follow()
        return control.catalogue.version("m")

    for one in (second, first):
        publish(log, one)
        known.append(until(looked, lambda version: version > known[-1]))

    assert known == [1, 3, 5]
    assert control.catalogue.current == {"m": first.hash}
