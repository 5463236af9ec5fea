"""Refused records once more, by the consumers' own validation and with their own coordinates.

What was a row already is a duplicate to the join, so a replay may be repeated, and may cross the consumers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import attrgetter

import msgspec

from services.cli.dead_letters.coordinates import Coordinates
from services.cli.dead_letters.raw import is_refused, raw_records
from services.cli.dead_letters.selection import Letter
from services.cli.tables import Listing
from shared.events.block import BlockKind
from shared.ingest.gathering import Gathering, OpenBlock, sealed
from shared.ingest.intake import Intake, Refused
from shared.ingest.offsets import SourceOffsets
from shared.log import Reader, Record, Records, Writer
from shared.topics import Topics

AT_ONCE = 10_000  # letters in hand
# What becomes of a letter beside the reasons for which it may be refused again.
ROW, GONE, REPLACED, NO_INPUT = "row", "gone", "replaced", "no_input"


class Fate(msgspec.Struct, kw_only=True):
    """Letters that end alike."""

    fate: str
    count: int = 0
    example: str = ""


class Replayed(msgspec.Struct, kw_only=True):
    """What a replay did, or would do."""

    sent: bool
    fates: list[Fate]

    @property
    def rows(self) -> int:
        """Return how many letters became rows."""
        return sum(one.count for one in self.fates if one.fate == ROW)

    @property
    def is_complete(self) -> bool:
        """Return whether every letter became a row."""
        return all(one.fate == ROW for one in self.fates)


class Replay:
    """Takes letters through ingest. Without a writer nothing is sent.

    stale_at_ms: now, if records a label horizon older are to be refused again.
    """

    def __init__(
        self,
        topics: Topics,
        intakes: Mapping[BlockKind, Intake],
        reader: Reader,
        writer: Writer | None,
        stale_at_ms: int | None,
    ) -> None:
        self._topics = topics
        self._intakes = {
            topics.predictions: intakes[BlockKind.PREDICTION],
            topics.ground_truth: intakes[BlockKind.LABEL],
        }
        self._reader = reader
        self._writer = writer
        self._stale_at_ms = stale_at_ms
        self._fates: dict[str, Fate] = {}

    def run(self, letters: Iterable[Letter]) -> Replayed:
        """Take all letters."""
        remaining = iter(letters)
        while chunk := list(islice(remaining, AT_ONCE)):
            self._take(chunk)
        fates = sorted(self._fates.values(), key=lambda one: (one.fate != ROW, -one.count, one.fate))
        return Replayed(sent=self._writer is not None, fates=fates)

    def _take(self, chunk: Sequence[Letter]) -> None:
        in_order = sorted(chunk, key=attrgetter("coordinates"))
        for source, of_log in groupby(in_order, key=lambda letter: letter.coordinates.source):
            by_offset = {letter.content.offset: letter for letter in of_log}
            intake = self._intakes.get(source.topic)
            if intake is None:
                self._end(NO_INPUT, by_offset.values())
                continue
            found = self._found(by_offset)
            if found:
                self._ingest(intake, found)
        if self._writer is not None:
            self._writer.flush()

    def _found(self, by_offset: dict[int, Letter]) -> list[Record]:
        """Return the records that were refused; tell what became of the others."""
        source = next(iter(by_offset.values())).coordinates.source
        found: list[Record] = []
        for record in raw_records(self._reader, source, list(by_offset)):
            letter = by_offset.pop(record.offset)
            if is_refused(letter.content, record):
                found.append(record)
            else:
                self._end(REPLACED, [letter])
        self._end(GONE, by_offset.values())
        return found

    def _ingest(self, intake: Intake, records: Sequence[Record]) -> None:
        gathering, nobody = Gathering(0), SourceOffsets()
        for outcome in intake.admit(Records.of(records), stale_at_ms=self._stale_at_ms):
            if isinstance(outcome, Refused):
                self._count(outcome.malformed.reason, Coordinates(outcome.source, outcome.record.offset))
                continue
            for offset in outcome.rows.offsets:
                self._count(ROW, Coordinates(outcome.source, offset))
            self._send(intake.kind, gathering.add(outcome, nobody, 0.0))
        self._send(intake.kind, gathering.close())

    def _send(self, kind: BlockKind, blocks: Iterable[OpenBlock]) -> None:
        if self._writer is not None:
            for block in blocks:
                for message, _, _ in sealed(kind, self._topics, block):
                    self._writer.send(message)

    def _end(self, fate: str, letters: Iterable[Letter]) -> None:
        for letter in letters:
            self._count(fate, letter.coordinates)

    def _count(self, fate: str, coordinates: Coordinates) -> None:
        found = self._fates.setdefault(fate, Fate(fate=fate))
        found.count += 1
        found.example = str(coordinates)


def table_of(replayed: Replayed) -> Listing:
    """Return a row for each fate."""
    rows = [(one.fate, f"{one.count:,}", one.example, _MEANS.get(one.fate, "refused again")) for one in replayed.fates]
    return Listing(("fate", "letters", "example", "means"), rows)


def texts_of(replayed: Replayed) -> Iterator[str]:
    """Yield what follows from it."""
    if not replayed.fates:
        yield "no such dead letters"
    elif not replayed.sent:
        yield "nothing was sent; --yes sends what gives rows"


_MEANS = {
    ROW: "goes to the join with its own coordinates; a duplicate there changes nothing",
    GONE: "its topic does not keep the record any longer",
    REPLACED: "another record is at its coordinates: the topic was created again",
    NO_INPUT: "of a topic that no consumer reads",
}
