"""The broker: the logs, and the clients of them."""

from __future__ import annotations

from shared.adapters.memory.exclusive_writer import MemoryExclusiveWriter
from shared.adapters.memory.group import Group, MemoryGroupReader
from shared.adapters.memory.logs import MemoryLogs
from shared.adapters.memory.reader import MemoryReader
from shared.adapters.memory.writer import MemoryWriter
from shared.clock import Clock
from shared.log import TopicPartition


class MemoryBroker(MemoryLogs):
    """All logs of one process, and the clients that read and write them."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._groups: dict[str, Group] = {}

    def reader(self) -> MemoryReader:
        """Return a reader at explicit positions."""
        return MemoryReader(self)

    def group_reader(self, group: str, topic: str) -> MemoryGroupReader:
        """Return a new member of `group`; a member that died in a test leaves it by `close`, which commits nothing."""
        return MemoryGroupReader(self, self._groups.setdefault(group, Group()), topic)

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """Return what a group has committed."""
        return dict(self._groups[group].committed) if group in self._groups else {}

    def exclusive_writer(self, name: str) -> MemoryExclusiveWriter:
        """Return a writer that is the only one of its name."""
        return MemoryExclusiveWriter(self, name)

    def writer(self) -> MemoryWriter:
        """Return a writer."""
        return MemoryWriter(self)
