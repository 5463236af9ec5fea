"""`driftline.control` on Kafka, read by a consumer that leaves again: a service has no use for two."""

from __future__ import annotations

from contextlib import closing

from shared.adapters.kafka import KafkaReader
from shared.control import read_catalogue
from shared.definition import Catalogue
from shared.settings import Settings


def published(settings: Settings, name: str) -> Catalogue:
    """Return every definition and baseline that is published now; `name` is the reading service.

    Raises:
        ConfigurationError: the topic does not exist.
        Unavailable: no broker answers.
        Corrupt: content that does not have the hash in its key.
    """
    with closing(KafkaReader(settings.kafka, f"{name}-control")) as reader:
        return read_catalogue(reader, settings.topics)
