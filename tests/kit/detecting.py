"""A detector's installation in memory: one broker, one store of checkpoints, a log with incidents in it."""

from __future__ import annotations

from collections.abc import Sequence

from services.cli.backtest.run import Published
from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from services.detector.alert_log import AlertLog
from services.detector.checkpoints import Checkpoints
from services.detector.keeping import Keeping, Place
from services.detector.logged_checkpoints import LoggedCheckpoints
from services.detector.partition import Definitions
from services.detector.stage import DetectorStage, StageOptions
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.failpoints import Failpoints
from shared.log import Outgoing, Record, TopicPartition, Writer
from shared.shares import FixedShares, Shares
from tests.kit.keeping import SEAL, kept
from tests.kit.traffic import START_MS, TOPICS, Log, fold_options, publication, rows

SOURCE = TopicPartition(TOPICS.observations, 0)
SECONDS = 2.0  # between checkpoints


class Installation:
    """One broker and one store of checkpoints, which outlive the detectors."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_MS)
        self.broker = MemoryBroker(self.clock)
        self.broker.create(*TOPICS.specs())
        self.checkpoints = MemoryCheckpoints()
        self.logged_seconds: float | None = None  # between two checkpoints in the log, where there are any

    def detector(
        self,
        *,
        fail: str = "",
        definitions: Definitions | None = None,
        partitions: Sequence[int] = (0,),
        shares: Shares | None = None,
        writer: Writer | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> DetectorStage:
        writer = writer or self.broker.writer()
        places = [Place(checkpoints or self.checkpoints)]
        if self.logged_seconds is not None:
            places.append(Place(self.logged(writer, fail), self.logged_seconds))
        return DetectorStage(
            self.broker.reader(),
            writer,
            AlertLog(self.broker.exclusive_writer, self.broker.reader, TOPICS, "main"),
            Keeping(places, SEAL, self.clock),
            definitions or Published([publication()]),
            self.clock,
            TOPICS,
            fold_options(),
            shares or FixedShares(partitions),
            StageOptions(batch_records=3, checkpoint_seconds=SECONDS),
            failpoints=Failpoints(fail),
        )

    def logged(self, writer: Writer | None = None, fail: str = "") -> LoggedCheckpoints:
        """Return the place in the log."""
        return LoggedCheckpoints(
            self.broker.reader,
            writer or self.broker.writer(),
            TOPICS.checkpoints,
            "main",
            failpoints=Failpoints(fail),
            chunk_bytes=4_096,
        )

    def write(self, records: Sequence[Record], partition: int = 0) -> None:
        for record in records:
            self.broker.append(
                Outgoing(record.topic, record.value, None, partition, record.headers, record.timestamp_ms)
            )

    def position(self, partition: int = 0) -> int | None:
        found = kept(self.checkpoints, partition)
        return None if found is None else found.position

    def alerts(self) -> list[bytes | None]:
        """Return what a subscriber hears."""
        return [record.value for record in self.broker.records(TOPICS.alerts)]


def observations() -> list[Record]:
    """Return a log whose inputs and answers change, with ticks."""
    log = Log(rows(6_000, drift_at=2_000, error_rate=0.4))
    for start in range(0, 6_000, 500):
        log.serve(start, start + 500, cut=250)
        log.label(start, start + 100)
        log.tick()
    return log.records


def run(installation: Installation, detector: DetectorStage) -> None:
    """Step until there is nothing to read; time for a checkpoint passes every other step."""
    while detector.step(0.0):
        installation.clock.sleep(SECONDS / 2)


def stopped(count: int = 6) -> Installation:
    """Return an installation whose detector folded a few records and went away."""
    installation = Installation()
    installation.write(observations()[:count])
    detector = installation.detector()
    run(installation, detector)
    detector.close()
    return installation
