"""Writing all or nothing, as the only one of a name."""

from __future__ import annotations

from shared.adapters.memory.logs import MemoryLogs
from shared.errors import Unavailable
from shared.log import SHUT_OUT_SECONDS, Outgoing


class MemoryExclusiveWriter:
    """`ExclusiveWriter` over the logs of a broker."""

    def __init__(self, logs: MemoryLogs, name: str) -> None:
        self._logs = logs
        self._name = name
        self._sent: list[Outgoing] = []
        self._number = logs.open(name)

    def send(self, message: Outgoing) -> None:
        """Take one more record of those that belong together."""
        self._logs.accepts(message)
        self._sent.append(message)

    def commit(self) -> None:
        """Write what was sent, all or nothing."""
        sent, self._sent = self._sent, []
        if not sent:
            return
        if not self._logs.is_newest(self._name, self._number):
            raise Unavailable(f"{self._name} was opened by somebody else", SHUT_OUT_SECONDS)
        self._logs.append_together(sent)

    def close(self) -> None:
        """Leave; what was sent and not committed is not written."""
        self._sent.clear()
