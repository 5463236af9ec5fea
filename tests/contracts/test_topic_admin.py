"""`KafkaAdmin`: creates what is missing, and says in sentences how a cluster differs."""

from __future__ import annotations

import pytest

from shared.adapters.kafka import KafkaAdmin
from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.topics import TopicSpec


def test_topics_are_created_once(settings: Settings) -> None:
    admin = KafkaAdmin(settings.kafka)
    specs = settings.topics.specs()

    created = admin.create(specs)
    again = admin.create(specs)

    assert created == sorted(spec.name for spec in specs)
    assert again == []


def test_a_fresh_installation_is_as_it_must_be(settings: Settings) -> None:
    admin = KafkaAdmin(settings.kafka)

    admin.create(settings.topics.specs())

    assert admin.check(settings.topics.specs()) == []


def test_differences_are_sentences(settings: Settings) -> None:
    admin = KafkaAdmin(settings.kafka)
    one, two = settings.topics.named("one"), settings.topics.named("two")
    admin.create([TopicSpec(one, 1, {"retention.ms": "3600000"})])

    differences = admin.check([TopicSpec(one, 2, {"retention.ms": "7200000"}), TopicSpec(two, 1)])

    assert differences == [
        f"{two} does not exist",
        f"{one} has 1 partitions, not 2",
        f"{one} has retention.ms=3600000, not 7200000 or more",
    ]


def test_a_topic_that_does_not_exist_has_no_id(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="does not exist; create it with `driftline topics create`"):
        KafkaAdmin(settings.kafka).topic_id(settings.topics.named("missing"))
