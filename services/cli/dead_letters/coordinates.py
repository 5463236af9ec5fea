"""Places in topics, as people write them: `predictions/0` is a log, `predictions/0/123` one of its records."""

from __future__ import annotations

from typing import NamedTuple

from shared.errors import ConfigurationError
from shared.log import TopicPartition
from shared.topics import Topics


class Coordinates(NamedTuple):
    """One record of one log."""

    source: TopicPartition
    offset: int

    def __str__(self) -> str:
        return f"{self.source.topic}/{self.source.partition}/{self.offset}"


def log_of(text: str) -> TopicPartition:
    """Return the log that a text names.

    Raises:
        ValueError: it names none.
    """
    topic, _, partition = text.rpartition("/")
    if not topic or not _is_number(partition):
        raise ValueError(f"{text!r} is not TOPIC/PARTITION, like predictions/0")
    return TopicPartition(topic, int(partition))


def coordinates_of(text: str) -> Coordinates:
    """Return the record that a text names.

    Raises:
        ValueError: it names none.
    """
    log, _, offset = text.rpartition("/")
    topic, _, partition = log.rpartition("/")
    if not topic or not _is_number(partition) or not _is_number(offset):
        raise ValueError(f"{text!r} is not TOPIC/PARTITION/OFFSET, like predictions/0/123")
    return Coordinates(TopicPartition(topic, int(partition)), int(offset))


def check_input(topics: Topics, source: TopicPartition) -> None:
    """Refuse a log that no consumer reads.

    Raises:
        ConfigurationError: it is not of an input topic.
    """
    inputs = (topics.predictions, topics.ground_truth)
    if source.topic not in inputs:
        raise ConfigurationError(f"topic {source.topic}", f"is not an input; these are {' and '.join(inputs)}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
