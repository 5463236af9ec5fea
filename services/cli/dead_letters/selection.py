"""Which dead letters are meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from services.cli.dead_letters.coordinates import Coordinates
from shared.control import read_whole
from shared.errors import Corrupt
from shared.events.dead_letter import DeadLetter
from shared.log import Reader, Record, TopicPartition
from shared.topics import Topics
from shared.unreadable import UNREADABLE
from shared.values import format_ts


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, and the log time at which it was written."""

    content: DeadLetter
    refused_ms: int

    @property
    def coordinates(self) -> Coordinates:
        """Return where the refused record is."""
        return Coordinates(TopicPartition(self.content.topic, self.content.partition), self.content.offset)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a letter must have; what is empty or None is not asked for."""

    reasons: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    since_ms: int | None = None  # when it was refused
    coordinates: frozenset[Coordinates] = frozenset()

    def has(self, letter: Letter) -> bool:
        """Return whether a letter is meant."""
        content = letter.content
        return (
            (not self.reasons or content.reason in self.reasons)
            and (not self.models or content.model in self.models)
            and (not self.topics or content.topic in self.topics)
            and (self.since_ms is None or letter.refused_ms >= self.since_ms)
            and (not self.coordinates or letter.coordinates in self.coordinates)
        )

    def words(self) -> list[str]:
        """Return what is asked for, in words; of single records how many."""
        asked = {"reason": self.reasons, "model": self.models, "topic": self.topics}
        found = [f"{what} {name}" for what, names in asked.items() for name in sorted(names)]
        if self.since_ms is not None:
            found.append(f"since {format_ts(self.since_ms)}")
        if self.coordinates:
            found.append(f"{len(self.coordinates):,} by their coordinates")
        return found


def letters(
    reader: Reader, topics: Topics, selection: Selection, progress: Callable[[float], None] | None = None
) -> Iterator[Letter]:
    """Yield the letters that are kept and meant, each refused record once.

    Raises:
        Corrupt: a record of the topic is no dead letter.
    """
    seen: dict[TopicPartition, set[int]] = {}
    for record in read_whole(reader, topics.dead_letters, progress):
        letter = _letter(record)
        if not selection.has(letter):
            continue
        source, offset = letter.coordinates
        of_log = seen.setdefault(source, set())
        if offset not in of_log:
            of_log.add(offset)
            yield letter


def _letter(record: Record) -> Letter:
    try:
        content = msgspec.json.decode(record.value or b"", type=DeadLetter)
    except UNREADABLE as exc:
        raise Corrupt(f"{record.topic}-{record.partition}@{record.offset}: not a dead letter ({exc})") from exc
    return Letter(content, record.timestamp_ms)
