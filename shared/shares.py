"""Which partitions of a log are a process's own, where several processes of one service share them out.

Nothing rests on it but the work: positions and state are elsewhere, so that two who hold a partition at a time write
the same twice, and whoever takes one up goes on where its position is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from shared.errors import ConfigurationError
from shared.log import GroupReader, TopicPartition

INSTANCE = "DRIFTLINE_INSTANCE"


class Shares(Protocol):
    """Tells a stage what to read; ask at every step."""

    def held(self) -> frozenset[int]:
        """Return the partitions that are ours now.

        Raises:
            Unavailable: nobody can say.
        """
        ...

    def close(self) -> None:
        """Leave our partitions to others; idempotent."""
        ...


class FixedShares:
    """The same partitions all the time."""

    def __init__(self, partitions: Iterable[int]) -> None:
        self._partitions = frozenset(partitions)

    def held(self) -> frozenset[int]:
        """Return them."""
        return self._partitions

    def close(self) -> None:
        """Do nothing."""


class GroupShares:
    """What a consumer group gives us. Its member reads nothing: it says who has what, and notices who has died."""

    def __init__(self, member: GroupReader) -> None:
        self._member = member
        self._paused: frozenset[TopicPartition] = frozenset()

    def held(self) -> frozenset[int]:
        """Take part in the group, and return our share of its topic."""
        self._member.poll(1, 0.0)
        ours = self._member.assigned()
        for source in ours - (self._paused - self._member.revoked()):
            self._member.pause(source, 0)
        self._paused = ours
        return frozenset(source.partition for source in ours)

    def close(self) -> None:
        """Leave the group."""
        self._member.close()


def group_of(service: str) -> str:
    """Return by which name a service shares partitions out; its own group is told positions by who is no member."""
    return f"{service}-shares"


def partitions_of(instance: str, partitions: int) -> range:
    """Return the partitions of instance `i/n`, which counts from 0: every n-th one.

    Raises:
        ConfigurationError: there is no such instance, or it would have none.
    """
    number, instances = map(int, instance.split("/"))
    if number >= instances:
        raise ConfigurationError(
            INSTANCE, f"is {instance}, but instances count from 0: the last one is {instances - 1}"
        )
    if number >= partitions:
        raise ConfigurationError(INSTANCE, f"is {instance}, but there are {partitions} partitions to share out")
    return range(number, partitions, instances)
