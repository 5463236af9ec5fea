"""Reading at explicit positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shared.adapters.memory.logs import MemoryLogs
from shared.errors import LogIdentity
from shared.log import Bounds, Reached, Record, TopicPartition


class Positions:
    """Where one consumer is in each of its logs; takes turns, so that a full log does not starve the others."""

    def __init__(self, logs: MemoryLogs) -> None:
        self._logs = logs
        self._next: dict[TopicPartition, int] = {}

    def set(self, source: TopicPartition, offset: int) -> None:
        """Read `source` from `offset` on."""
        self._next[source] = offset

    def keep(self, sources: Iterable[TopicPartition]) -> None:
        """Stop reading all logs but these."""
        kept = set(sources)
        self._next = {source: offset for source, offset in self._next.items() if source in kept}

    def at(self, source: TopicPartition) -> int:
        """Return the next offset."""
        return self._next[source]

    def lag(self) -> dict[TopicPartition, int]:
        """Return how many records of each log are not taken yet."""
        return {source: max(self._logs.high(source) - offset, 0) for source, offset in self._next.items()}

    def take(self, max_records: int) -> list[Record]:
        """Return the next records and move past them; LogIdentity where a position is outside its log."""
        taken: list[Record] = []
        for source, offset in list(self._next.items()):
            if len(taken) == max_records:
                break
            log = self._logs.log(source)
            if not log.low <= offset <= log.high:
                raise LogIdentity(
                    f"{source.topic}-{source.partition}: position {offset} is outside [{log.low}, {log.high}]"
                )
            found, end = log.read(offset, max_records - len(taken))
            if end > offset:
                taken += found
                del self._next[source]
                self._next[source] = end  # to the end of the queue
        return taken


class MemoryReader:
    """`Reader` over the logs of a broker."""

    def __init__(self, logs: MemoryLogs) -> None:
        self._logs = logs
        self._positions = Positions(logs)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read exactly these logs from exactly these offsets."""
        self._positions.keep(())
        for source in sorted(positions):
            self._logs.log(source)
            self._positions.set(source, positions[source])

    def seek(self, source: TopicPartition, offset: int) -> None:
        """Go on reading `source` at `offset`."""
        self._positions.set(source, offset)

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:  # noqa: ARG002 - the port's signature
        """Return what is there, at once."""
        return self._positions.take(max_records)

    def bounds(self, source: TopicPartition) -> Bounds:
        """Return the offsets that exist now."""
        log = self._logs.log(source)
        return Bounds(log.low, log.high)

    def position(self, source: TopicPartition) -> int:
        """Return the offset up to which an assigned log is read."""
        return self._positions.at(source)

    def lag(self) -> Mapping[TopicPartition, int]:
        """Return how many records of each log are not read yet."""
        return self._positions.lag()

    def partitions(self, topic: str) -> int:
        """Return how many partitions `topic` has; 0 when it does not exist."""
        return self._logs.partitions(topic)

    def topic_id(self, topic: str) -> str:
        """Return what tells a topic from one that had the same name before."""
        return self._logs.topic_id(topic)

    def tell(self, source: TopicPartition, reached: Reached) -> None:
        """Commit how far a log is done with."""
        if not self._logs.away:
            self._logs.reached[source] = reached

    def told(self, source: TopicPartition) -> Reached | None:
        """Return what was committed last."""
        self._logs.log(source)
        return self._logs.reached.get(source)

    def close(self) -> None:
        """Leave."""
        self._positions.keep(())
