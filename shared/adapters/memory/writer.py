"""Writing, with acknowledgements that come later, as Kafka's do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from shared.adapters.memory.logs import MemoryLogs
from shared.errors import Undelivered
from shared.log import Outgoing

OnAck = Callable[[int, int], None]


class MemoryWriter:
    """`Writer` over the logs of a broker. What was sent enters the log, and is acknowledged, in `poll` or `flush`.

    A process that dies in between has lost it, the worse of the two things that Kafka may do.
    """

    def __init__(self, logs: MemoryLogs) -> None:
        self._logs = logs
        self._sent: deque[tuple[Outgoing, OnAck | None]] = deque()
        self._failure: Undelivered | None = None

    def send(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        """Queue `message`."""
        self._check()
        self._logs.accepts(message)
        self._sent.append((message, on_ack))

    def poll(self) -> None:
        """Append and acknowledge everything sent; a broker that is away does not acknowledge."""
        self._check()
        while self._sent and not self._logs.away:
            message, on_ack = self._sent.popleft()
            record = self._logs.append(message)
            if on_ack is not None:
                on_ack(record.partition, record.offset)

    def flush(self) -> None:
        """Append and acknowledge everything sent."""
        self.poll()
        if self._sent:
            self._failure = Undelivered(f"{len(self._sent)} records were not acknowledged")
            self._check()

    def close(self) -> None:
        """Flush and leave; after a failure, just leave."""
        if self._failure is None:
            self.flush()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
