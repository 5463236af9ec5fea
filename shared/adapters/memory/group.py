"""Reading as a member of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from shared.adapters.memory.logs import MemoryLogs
from shared.adapters.memory.reader import Positions
from shared.log import Records, TopicPartition


class Group:
    """A consumer group: its members in order of joining, who holds what, and what is committed."""

    def __init__(self) -> None:
        self.members: list[MemoryGroupReader] = []
        self.holders: dict[TopicPartition, MemoryGroupReader] = {}
        self.committed: dict[TopicPartition, int] = {}

    def share(self, member: MemoryGroupReader, sources: Sequence[TopicPartition]) -> set[TopicPartition]:
        """Return what `member` is to hold once everybody has polled."""
        return set(sources[self.members.index(member) :: len(self.members)])


class MemoryGroupReader:
    """`GroupReader` over the logs of a topic. Rebalances are cooperative and happen inside `poll`."""

    def __init__(self, logs: MemoryLogs, group: Group, topic: str) -> None:
        self._logs = logs
        self._group = group
        self._positions = Positions(logs)
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._revoked: set[TopicPartition] = set()
        self._paused: dict[TopicPartition, int] = {}  # to where each goes on
        self._topic = topic
        logs.logs(topic)
        group.members.append(self)

    def poll(self, max_records: int, timeout: float) -> Sequence[Records]:  # noqa: ARG002 - the port's signature
        """Take part in a rebalance that is due, then return what is there, at once."""
        if self in self._group.members:
            self._rebalance()
        taken = groupby(self._positions.take(max_records), attrgetter("source"))
        return [Records.of(list(same)) for _, same in taken]

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit next-to-read offsets of the logs that are still ours."""
        for source, offset in offsets.items():
            self._logs.log(source)
            if self._group.holders.get(source) is self:
                self._group.committed[source] = offset

    def assigned(self) -> frozenset[TopicPartition]:
        """Return the logs that are ours now."""
        return self._assigned

    def lag(self) -> Mapping[TopicPartition, int]:
        """Return how many records of each log are not read yet."""
        return self._positions.lag() | {
            source: max(self._logs.high(source) - offset, 0) for source, offset in self._paused.items()
        }

    def pause(self, source: TopicPartition, offset: int) -> None:
        """Deliver nothing of a log that is ours until `resume`."""
        if source in self._assigned:
            self._paused[source] = offset
            self._positions.keep(self._assigned - set(self._paused))

    def resume(self, source: TopicPartition) -> None:
        """Go on where the pause said."""
        if source in self._paused:
            self._positions.set(source, self._paused.pop(source))

    def revoked(self) -> frozenset[TopicPartition]:
        """Return the logs lost since the last call."""
        lost, self._revoked = frozenset(self._revoked), set()
        return lost

    def close(self) -> None:
        """Leave the group; idempotent."""
        if self in self._group.members:
            self._group.members.remove(self)
            self._hold(set())

    def _rebalance(self) -> None:
        sources = [TopicPartition(self._topic, p) for p in range(len(self._logs.logs(self._topic)))]
        share = self._group.share(self, sources)
        self._hold({source for source in share if self._group.holders.get(source, self) is self})

    def _hold(self, sources: set[TopicPartition]) -> None:
        for source in self._assigned - sources:
            del self._group.holders[source]
            self._revoked.add(source)
            self._paused.pop(source, None)
        self._positions.keep(sources - set(self._paused))
        for source in sorted(sources - self._assigned):
            self._group.holders[source] = self
            self._positions.set(source, self._group.committed.get(source, self._logs.log(source).low))
        self._assigned = frozenset(sources)
