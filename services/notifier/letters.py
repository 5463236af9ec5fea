"""Dead letters: alerts that cannot be read, and notices that no channel took."""

from __future__ import annotations

from collections import Counter

from shared.events.dead_letter import REASONS, dead_letter
from shared.log import Record, Writer
from shared.measures import Labels, Measure
from shared.topics import Topics


class DeadLetters:
    """Writes them for one service, each acknowledged before the next thing happens."""

    def __init__(self, topics: Topics, writer: Writer, service: str) -> None:
        self._topics = topics
        self._writer = writer
        self._service = service
        self._written = Counter(dict.fromkeys(REASONS, 0))

    def write(self, record: Record, reason: str, detail: str, *, model: str | None) -> None:
        """Write one about `record`."""
        self._writer.send(
            dead_letter(self._topics, record, service=self._service, reason=reason, detail=detail, model=model)
        )
        self._writer.flush()
        self._written[reason] += 1

    def measure(self) -> Measure:
        """Return how many were written."""
        samples: dict[Labels, float] = {(reason,): times for reason, times in self._written.items()}
        return Measure("dead_letters_total", "Records that could not be used, by reason.", samples, ("reason",))

    def close(self) -> None:
        """Flush and leave; idempotent."""
        self._writer.close()
