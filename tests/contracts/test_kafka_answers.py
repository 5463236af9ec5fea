from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from shared.adapters.kafka.client import answered
from shared.errors import ConfigurationError, Unavailable


def answering(*codes: int) -> Callable[[], str]:
    """Return a question that meets these errors before it is answered."""
    left = list(codes)

    def ask() -> str:
        if left:
            raise KafkaException(KafkaError(left.pop(0)))
        return "answer"

    return ask


def test_a_partition_that_has_no_leader_yet_is_asked_about_again() -> None:
    ask = answering(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)

    assert answered(ask, "topic t") == "answer"


def test_a_partition_that_a_broker_does_not_list_yet_is_asked_about_again() -> None:
    ask = answering(KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_PARTITION)

    assert answered(ask, "topic t") == "answer"


def test_a_partition_that_is_never_listed_is_not_said_to_be_missing() -> None:
    with pytest.raises(Unavailable, match="topic t"):
        answered(answering(*[KafkaError._UNKNOWN_PARTITION] * 9), "topic t", seconds=-1)


def test_a_topic_that_does_not_exist_is_not_waited_for() -> None:
    with pytest.raises(ConfigurationError, match="topic t: does not exist"):
        answered(answering(KafkaError.UNKNOWN_TOPIC_OR_PART), "topic t")
