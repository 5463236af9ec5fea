"""Definitions that are published while a service runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from shared.adapters.memory import ManualClock, MemoryBroker
from shared.control import FOLLOW_SECONDS, FollowedControl
from shared.definition import Definition, ModelSchema, control_records
from shared.errors import ConfigurationError
from shared.identity import content_hash
from shared.ingest.following import Following
from shared.log import TopicPartition
from shared.measures import Measure
from shared.monitors import ModelSpec
from shared.topics import Topics

TOPICS = Topics()


class Stage:
    """Notes which definition of the model it works from at each step."""

    name = "stage"

    def __init__(self, control: FollowedControl) -> None:
        self.seen: list[str | None] = []
        self.is_closed = False
        self._catalogue = control.catalogue

    def step(self, timeout: float) -> bool:
        self.seen.append(self._catalogue.current.get("m"))
        return timeout > 0

    def measures(self) -> Iterable[Measure]:
        return ()

    def halted(self) -> Mapping[TopicPartition, str]:
        return {}

    def rebuilding(self) -> str:
        return ""

    def close(self) -> None:
        self.is_closed = True


def definition(horizon: str = "90d") -> Definition:
    spec = ModelSpec(task="regression", reference="r.csv", label_horizon=horizon)
    schema = ModelSchema(features={"x": "numeric"}, classes=[], scores=[])
    return Definition(model="m", spec=spec, schema=schema, baseline_hash=content_hash(b"b"))


class World:
    """A control topic, and one who follows it."""

    def __init__(self, *published: Definition) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock)
        self.broker.create(*TOPICS.specs())
        self.publish(*published)

    def publish(self, *definitions: Definition) -> None:
        for one in definitions:
            for message in control_records(TOPICS, one, b"b"):
                self.broker.append(message)

    def following(self) -> FollowedControl:
        return FollowedControl(self.broker.reader(), TOPICS, self.clock)


def test_at_first_it_is_everything_that_is_published() -> None:
    first, second = definition(), definition("1d")

    control = World(first, second).following()

    assert control.catalogue.current == {"m": second.hash}
    assert set(control.catalogue.definitions) == {first.hash, second.hash}


def test_an_empty_topic_is_followed_from_its_beginning() -> None:
    world = World()
    control = world.following()
    world.publish(definition())
    world.clock.sleep(FOLLOW_SECONDS)

    control.follow()

    assert control.catalogue.current == {"m": definition().hash}


def test_what_is_published_later_is_taken_up_at_the_next_look() -> None:
    first, second = definition(), definition("1d")
    world = World(first)
    control = world.following()
    stage = Stage(control)
    following = Following(stage, control)
    world.publish(second)

    for _ in range(2):
        assert following.step(0.5)
        world.clock.sleep(FOLLOW_SECONDS)
    following.step(0.5)

    assert stage.seen == [first.hash, second.hash, second.hash]
    assert control.catalogue.version("m") == 3


def test_a_definition_that_is_published_again_counts_again() -> None:
    first, second = definition(), definition("1d")
    world = World(first, second)
    control = world.following()
    world.publish(first)
    world.clock.sleep(FOLLOW_SECONDS)

    control.follow()

    assert control.catalogue.current == {"m": first.hash}
    assert control.catalogue.version("m") == 5


def test_who_stops_following_closes_the_stage() -> None:
    control = World().following()
    stage = Stage(control)

    Following(stage, control).close()

    assert stage.is_closed


def test_a_control_topic_that_retention_has_shortened_is_followed_from_what_is_kept() -> None:
    world = World(definition("1d"), definition())
    world.broker.delete_records(TopicPartition(TOPICS.control, 0), 2)

    assert world.following().catalogue.current == {"m": definition().hash}


def test_without_the_topic_it_refuses_to_start() -> None:
    broker = MemoryBroker(ManualClock())

    with pytest.raises(ConfigurationError, match=r"driftline\.control: does not exist"):
        FollowedControl(broker.reader(), TOPICS, ManualClock())
