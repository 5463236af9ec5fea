"""Shares as the settings say."""

from __future__ import annotations

from shared.adapters.kafka import KafkaGroupReader
from shared.settings import Settings
from shared.shares import FixedShares, GroupShares, Shares, group_of, partitions_of


def shares(settings: Settings, service: str, topic: str, partitions: int) -> Shares:
    """Return which partitions of `topic` this process of `service` has.

    Raises:
        ConfigurationError: there is no such instance.
    """
    if settings.assignment == "fixed":
        return FixedShares(partitions_of(settings.instance, partitions))
    name = group_of(service)
    return GroupShares(KafkaGroupReader(settings.kafka, settings.group(name), topic, name))
