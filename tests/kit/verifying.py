"""What a pipeline in memory has left behind, for verifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass

from services.cli.verify.installation import Installation, Silence
from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from services.detector.checkpoint_history import CheckpointHistory
from services.joiner.adapters.memory_view import MemoryView
from shared.adapters.memory import MemoryBroker
from shared.definition import Catalogue
from shared.durations import UNITS_MS
from shared.log import TopicPartition
from shared.topics import Topics
from tests.kit.keeping import SEAL, keeping
from tests.kit.pipeline import KEY, Pipeline, traffic

HOUR_SECONDS = UNITS_MS["h"] / 1_000
PART = 400  # rows between two hours of log time


@dataclass
class Left:
    """Logs, view and checkpoints; a test may change its own copy of them."""

    topics: Topics
    broker: MemoryBroker
    view: MemoryView
    checkpoints: MemoryCheckpoints
    catalogue: Catalogue

    @classmethod
    def of(cls, pipeline: Pipeline) -> Left:
        """Return what is there now; what the pipeline does later changes nothing of it."""
        there = cls(pipeline.topics, pipeline.broker, pipeline.view, pipeline.checkpoints, pipeline.catalogue)
        return there.copy()

    def copy(self) -> Left:
        """Return one of one's own; definitions never change."""
        logs, view, checkpoints = deepcopy((self.broker, self.view, self.checkpoints))
        return Left(self.topics, logs, view, checkpoints, self.catalogue)

    def committed(self, service: str, logs: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return where a service goes on; what is no member of a group was fed everything."""
        return self.broker.committed(service) or {source: self.broker.high(source) for source in logs}

    def busy(self, topic: str) -> TopicPartition:
        """Return the log of a topic that holds most."""
        held = {record.source: 0 for record in self.broker.records(topic)}
        for record in self.broker.records(topic):
            held[record.source] += len(record.value or b"")
        return max(held, key=lambda source: held[source])

    def installation(self, *, code_version: str = "test") -> Installation:
        """Return what a verification reads."""
        return Installation(
            topics=self.topics,
            name="main",
            key=KEY,
            heartbeat_ms=UNITS_MS["h"],
            code_version=code_version,
            catalogue=self.catalogue,
            open_reader=self.broker.reader,
            view=self.view,
            keeping=keeping(self.checkpoints),
            logged=CheckpointHistory(self.broker.reader, self.topics.checkpoints, "main", SEAL),
            committed=self.committed,
            meter=Silence(),
        )


def written(pipeline: Pipeline, rows: int, *, first: int = 0) -> Pipeline:
    """Write predictions that change half way, and their labels, an hour's part at a time; the last is checkpointed."""
    for start in range(first, first + rows, PART):
        moved = {"amount": 90_000.0} if start >= first + rows // 2 else {}
        for predicted, truth in traffic(PART, first=start, **moved):
            pipeline.predict(**predicted)
            pipeline.label(**truth)
        pipeline.run()
        pipeline.pass_time(HOUR_SECONDS)
    pipeline.run()
    return pipeline
