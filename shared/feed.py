"""Feeds a `RecordStage` from a reader where there is no Faust: in process, over memory or Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.flow import Handled
from shared.log import Reader, TopicPartition
from shared.measures import Measure
from shared.stage import RecordStage

MAX_RECORDS = 500


class Feed:
    """The `Stage` around a `RecordStage`: it owns every partition of its topic.

    positions: where each partition goes on; those left out start at their beginning. What is below a position was
    acknowledged by an earlier feed.
    """

    def __init__(self, stage: RecordStage, reader: Reader, positions: Mapping[int, int] | None = None) -> None:
        self.name = stage.name
        self._stage = stage
        self._reader = reader
        self._handled = Handled()
        sources = [TopicPartition(stage.topic, number) for number in range(reader.partitions(stage.topic))]
        known = positions or {}
        stage.assigned(frozenset(source.partition for source in sources))
        reader.assign({s: known.get(s.partition, reader.bounds(s).low) for s in sources})

    def step(self, timeout: float) -> bool:
        """Hand over what is there, then one piece of waiting work."""
        records = self._reader.poll(MAX_RECORDS, timeout)
        for record in records:
            self._stage.handle(record)
            self._handled.took(record)
        worked = self._stage.tick()
        return bool(records) or worked

    def measures(self) -> Iterable[Measure]:
        """Return what was fed and what the stage counts."""
        yield from self._handled.measures()
        yield from self._stage.measures()

    def halted(self) -> Mapping[TopicPartition, str]:
        """Return nothing: no log is halted by itself."""
        return {}

    def rebuilding(self) -> str:
        """Return nothing: what is fed has no state to make anew."""
        return ""

    def close(self) -> None:
        """Close the stage and the reader; idempotent."""
        self._stage.close()
        self._reader.close()
