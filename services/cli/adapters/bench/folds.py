"""The folds of joiner and detector over logs in memory, timed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import chain

from services.cli.backtest.run import Published
from services.cli.bench import loans
from services.cli.bench.logs import appended, halves, joined
from services.cli.publication import Publication
from services.detector.baseline import Baseline
from services.detector.baseline import decode as decode_baseline
from services.detector.outputs import Outputs
from services.detector.partition import FoldOptions, PartitionFold
from services.detector.report import NoSink
from services.detector.warming import WarmingWatch
from services.detector.watch import Watch
from services.detector.watch_options import WatchOptions
from shared.definition import Catalogue, control_records
from shared.events.block import MAX_ROWS, BlockKind
from shared.identity import IdKey
from shared.log import Record
from shared.settings import Settings

HEARTBEAT_MS = 60_000


class Folds:
    """Logs and folds of the benchmarks' model, or of another that reads the same events."""

    def __init__(self, settings: Settings, publication: Publication | None = None) -> None:
        self._topics = settings.topics
        self._key = IdKey(settings.id_key.encode())
        self._publication = loans.publication() if publication is None else publication
        self._catalogue = Catalogue()
        messages = control_records(self._topics, self._publication.definition, self._publication.baseline)
        for offset, message in enumerate(messages):
            self._catalogue.absorb(Record(message.topic, 0, offset, 0, message.key, message.value))

    @property
    def baseline(self) -> Baseline:
        """Return the model's baseline, as a detector loads it."""
        return decode_baseline(self._publication.baseline)

    def served(self, count: int) -> list[Record]:
        """Return the observations of so many predictions whose labels have not come, in full blocks."""
        payloads = loans.predictions(count)
        log = halves(BlockKind.PREDICTION, payloads, self._catalogue, self._key, self._topics, MAX_ROWS)
        return self.join(appended(log))[0]

    def halves(self, pairs: int, rows: int) -> list[Record]:
        """Return a log of so many predictions and then their labels, `rows` in a block."""
        events = ((BlockKind.PREDICTION, loans.predictions(pairs)), (BlockKind.LABEL, loans.labels(pairs)))
        return appended(
            chain.from_iterable(
                halves(kind, payloads, self._catalogue, self._key, self._topics, rows) for kind, payloads in events
            )
        )

    def join(self, log: Sequence[Record]) -> tuple[list[Record], float]:
        """Return the observations, and the seconds that the joiner's fold took for them."""
        begun = time.perf_counter()
        observations = joined(log, self._key, self._topics)
        return observations, time.perf_counter() - begun

    def detect(self, observations: Sequence[Record]) -> float:
        """Return the seconds that the detector's fold takes."""
        fold = self._fold()
        begun = time.perf_counter()
        for record in observations:
            fold.fold(record)
        return time.perf_counter() - begun

    def watched(self, observations: Sequence[Record]) -> Watch | WarmingWatch:
        """Return the detector's watch of the model after the observations."""
        fold = self._fold()
        for record in observations:
            fold.fold(record)
        (watch,) = fold.watches.values()
        return watch

    def _fold(self) -> PartitionFold:
        outputs = Outputs(self._topics, "bench")
        options = FoldOptions(outputs, HEARTBEAT_MS, WatchOptions(outputs, "bench"))
        return PartitionFold(0, Published([self._publication]), options, NoSink())
