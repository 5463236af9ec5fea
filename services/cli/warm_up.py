"""Models that warm up: when each has seen enough, and the baseline that it gets then.

The end of a warm-up is a place of the log, so that whoever looks, and whenever, builds the same baseline but for the
labels that have come meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np

from services.cli.acceptance import NEEDED_ROWS
from services.cli.log_baseline import Built, Refused, build_from_log
from services.cli.publication import Publication
from services.cli.stories import source
from services.detector.baseline_build import Progress
from services.detector.log_reference import Copies, Range
from services.detector.stream_time import WIDTH
from services.detector.structs import IntArray
from services.detector.warming import WarmUpTime
from shared.clock import Clock
from shared.control import read_catalogue, read_whole
from shared.definition import Catalogue, Definition, ServedRows
from shared.durations import format_duration
from shared.errors import ConfigurationError, Unavailable
from shared.events.block import TS, BlockKind, decode
from shared.log import Reader, Record, TopicPartition
from shared.topics import Topics

LOOK_SECONDS = 30.0  # between two looks at the logs


@dataclass(slots=True)
class WarmUp:
    """How far one model is, from its served rows in the order of the log.

    It ends where `wanted_ms` of stream time have passed and there are rows enough for a baseline that may page. The
    rows before the first and after the last stream time, of which each end has some, are not in the range.
    """

    definition: Definition
    wanted_ms: int
    range: Range | None = None  # the rows of the baseline, once the warm-up is over
    time: WarmUpTime = field(default_factory=WarmUpTime)

    def serve(self, ts: IntArray) -> None:
        """Take the timestamps of the next rows."""
        if self.range is not None:
            return
        counts = self.time.rows + 1 + np.arange(len(ts))
        times = self.time.advance(ts)
        if self.time.begun is None:
            return
        over = np.flatnonzero((times >= self.time.begun + self.wanted_ms) & (counts >= NEEDED_ROWS + WIDTH))
        if over.size:
            self.range = Range(self.time.begun, int(times[over[0]]))

    def __str__(self) -> str:
        """Return in one line how far it is."""
        passed = f"{format_duration(self.time.passed)} of {format_duration(self.wanted_ms)}"
        return f"{self.definition.model} warms up: {passed}, {self.time.rows:,} of {NEEDED_ROWS + WIDTH:,} predictions"


class WarmUps:
    """The warm-ups of an installation, as far as its logs tell; writes nothing."""

    def __init__(self, reader: Reader, topics: Topics) -> None:
        self.models: dict[str, WarmUp] = {}
        self._reader = reader
        self._topics = topics
        self._begin()

    def look(self) -> list[WarmUp]:
        """Read on to where the logs end now, and return the models that warm up."""
        catalogue = read_catalogue(self._reader, self._topics)
        wanted = catalogue.warming_up()
        known = {model: found.definition for model, found in self.models.items()}
        if all(known.get(one.model) == one for one in wanted):
            self.models = {one.model: self.models[one.model] for one in wanted}
        else:  # what one needs of the log, the others have read
            self.models = {one.model: WarmUp(one, one.spec.warm_up_ms or 0) for one in wanted}
            self._begin()
        if wanted:
            for record in read_whole(self._reader, self._topics.observations, begin=self._next):
                self._next[record.source] = record.offset + 1
                self._take(record, catalogue)
        return list(self.models.values())

    def build(self, found: WarmUp, tell: Progress) -> Built:
        """Return the baseline of a warm-up that is over; raises like `build_from_log`."""
        definition = found.definition
        return build_from_log(
            self._reader, self._topics, definition.model, definition.spec, found.range or Range(), tell
        )

    def _begin(self) -> None:
        self._next: dict[TopicPartition, int] = {}
        self._copies = Copies()

    def _take(self, record: Record, catalogue: Catalogue) -> None:
        block = decode(record)
        found = self.models.get(block.model)
        if found is None or block.chain is None or block.batch is None or self._copies.is_one(record, block.chain):
            return
        written_under = catalogue.definitions.get(block.stamp.config_hash)
        if block.kind is BlockKind.SERVED and written_under is not None and _same_rows(written_under, found.definition):
            found.serve(np.asarray(block.batch.column(TS).to_numpy(zero_copy_only=False), np.int64))


class Outcome(msgspec.Struct):
    """What became of the models that warmed up."""

    learned: dict[str, ServedRows] = {}  # model to the rows of its baseline
    refused: dict[str, str] = {}  # model to why it has none
    warming_up: dict[str, str] = {}  # model to how far it is

    def lines(self) -> Iterator[str]:
        """Yield it for people."""
        for model, rows in self.learned.items():
            yield f"{model}: its baseline is built from {source(rows)}"
        yield from self.warming_up.values()
        for model, why in self.refused.items():
            yield f"{model} has no baseline: {why}"


Give = Callable[[WarmUp], ServedRows]
"""Build and publish the baseline of a warm-up that is over, and return its rows; raises like `build_from_log`."""


def learn(warm_ups: WarmUps, give: Give, say: Callable[[str], None], clock: Clock, *, wait: bool) -> Outcome:
    """Give every model its baseline whose warm-up is over.

    wait: go on until no model warms up but those whose baseline cannot be built; else look once.

    Raises:
        Unavailable: no broker answers; never while waiting.
    """
    found = Outcome()
    given_up: dict[str, str] = {}  # hash of a definition to why
    while True:
        try:
            _look(warm_ups, give, found, given_up)
        except Unavailable as exc:
            if not wait:
                raise
            say(f"{exc}; trying again")
        else:
            if not wait or not found.warming_up:
                return found
        clock.sleep(LOOK_SECONDS)


def _look(warm_ups: WarmUps, give: Give, found: Outcome, given_up: dict[str, str]) -> None:
    found.warming_up, found.refused = {}, {}
    for one in warm_ups.look():
        model, hashed = one.definition.model, one.definition.hash
        if one.range is not None and hashed not in given_up:
            try:
                found.learned[model] = give(one)
                continue
            except (Refused, ConfigurationError) as exc:
                given_up[hashed] = str(exc)
        if hashed in given_up:
            found.refused[model] = given_up[hashed]
        else:
            found.warming_up[model] = str(one)


def still_wanted(catalogue: Catalogue, built: Publication) -> list[Publication]:
    """Return what was built, unless the model got another definition meanwhile."""
    return [built] if catalogue.current.get(built.definition.model) == built.definition.follows else []


def _same_rows(one: Definition, other: Definition) -> bool:
    """Tell whether rows written under two definitions have the same columns."""
    return one.schema == other.schema and one.spec.dimensions == other.spec.dimensions
