"""Dead letters on Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from services.cli.dead_letters.coordinates import check_input
from shared.adapters.kafka import KafkaReader, KafkaWriter
from shared.definition import resumption
from shared.errors import ConfigurationError
from shared.log import TopicPartition
from shared.settings import Settings

NAME = "dead-letters"


def resumed(settings: Settings, sources: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Accept the dead letters that input logs hold now; return, for each, the offset below which they are accepted.

    Raises:
        ConfigurationError: one is no input log.
    """
    below: dict[TopicPartition, int] = {}
    with closing(KafkaReader(settings.bootstrap, NAME)) as reader:
        for source in sources:
            check_input(settings.topics, source)
            partitions = reader.partitions(source.topic)
            if source.partition >= partitions:
                raise ConfigurationError(f"topic {source.topic}", f"has {partitions} partitions, no {source.partition}")
            below[source] = reader.bounds(source).high
    with closing(KafkaWriter(settings.bootstrap, NAME)) as writer:
        for source, offset in below.items():
            writer.send(resumption(settings.topics, source, offset))
        writer.flush()
    return below
