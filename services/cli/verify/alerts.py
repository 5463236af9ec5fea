"""The alerts and the checkpoint of one observations partition against the fold of its records.

Who verifies while services run asks in this order: where the checkpoint is (every alert that follows from records below
it is written), how far the alerts reach, how far the observations reach (every alert written follows from them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import NamedTuple

import msgspec

from services.cli.verify.installation import Installation
from services.cli.verify.report import Check, Evidence, named
from services.cli.verify.said import SaidAlerts, contradiction, digest
from services.cli.verify.starts import DetectorReach, start_of
from services.detector.checkpoint_slots import Replaced
from services.detector.checkpoints import Checkpoint
from services.detector.definitions import ControlDefinitions
from services.detector.migrations import written_version
from services.detector.outputs import Outputs
from services.detector.partition import FoldOptions, PartitionFold
from services.detector.report import NoSink
from services.detector.watch_options import WatchOptions
from shared.errors import Corrupt, LogIdentity, Unavailable
from shared.events.alert import AlertEnvelope
from shared.log import Outgoing, Record, TopicPartition

MOST_LOGGED = 2  # checkpoints of one partition in the topic that are compared: it keeps no more for good


class _Due(NamedTuple):
    """A checkpoint to be compared where the fold reaches it. `read` raises Corrupt where it is not whole."""

    position: int
    evidence: Evidence
    at: str
    read: Callable[[], Checkpoint]


def fold_of(here: Installation, partition: int) -> PartitionFold:
    """Return a detector's fold of one partition before its first record."""
    outputs = Outputs(here.topics, here.name)
    options = FoldOptions(outputs, here.heartbeat_ms, WatchOptions(outputs, here.code_version, profiles=False))
    return PartitionFold(partition, ControlDefinitions(lambda: here.catalogue), options, NoSink())


class VerifiedPartition:
    """One partition folded again; `alerts`, `state` and `logged` are what was found."""

    def __init__(self, here: Installation, reach: DetectorReach, said: SaidAlerts) -> None:
        self._here, self._reach, self._said = here, reach, said
        self._source = TopicPartition(here.topics.observations, reach.partition)
        low, high = reach.observations
        self.alerts = Evidence(Check.ALERTS, self._source, low, high)
        self.state = Evidence(Check.CHECKPOINT, self._source, low, low)
        self.logged = Evidence(Check.LOGGED_CHECKPOINT, self._source, low, low)
        self._fold = fold_of(here, reach.partition)
        self._stands: dict[TopicPartition, int] = {}  # where the last alert is, by log
        self._since: int | None = None  # log time before the first record; None: nothing is folded to the end

    def verify(self) -> None:
        """Fold and compare; alerts that are as they should be are taken out of those that were said."""
        try:
            start = self._begin()
            if start is not None:
                since = -1 if start == 0 else self._fold.log_time
                self._run(start)
                self._since = since if self._fold.loss is None else None
        except (Corrupt, LogIdentity) as exc:
            self.alerts.differs(named(self._source, self.alerts.end), str(exc))
        except Unavailable as exc:  # a definition that is not in the control topic
            self.alerts.cannot_decide(str(exc))

    def covers(self, model: str, time_ms: int) -> bool:
        """Tell whether an alert would have followed from what was folded here."""
        partition = self._here.key.model_partition(model, self._here.topics.observations_partitions)
        return partition == self._reach.partition and self._since is not None and time_ms > self._since

    def _begin(self) -> int | None:
        """Bring the fold to where it can begin; return that offset."""
        low, high = self._reach.observations
        self.alerts.end = low
        self._fold.is_whole = low == 0
        start = start_of(self._reach)
        if start is None:
            gone = f"{named(self._source)} begins at offset {low}, and no checkpoint goes on from there"
            for evidence in (self.alerts, self.state, self.logged):
                evidence.cannot_decide(gone)
            return None
        if start.checkpoint is None:
            return 0
        position = start.checkpoint.position
        self._fold.restore(start.checkpoint.state)
        for evidence in (self.alerts, self.state, self.logged):
            evidence.leaves_out(f"offsets 0..{position}: {start.because}, so the checkpoint there is believed")
            evidence.start = evidence.end = min(position, high)
        return position

    def _run(self, start: int) -> None:
        high, checkpoint = self._reach.observations.high, self._reach.checkpoint
        due = self._due(start)
        waiting: list[tuple[Record, Outgoing]] = []
        with closing(self._here.open_reader()) as reader:
            for record in self._here.metered(reader, self._source, start, high, "folding"):
                while due and record.offset >= due[0].position:
                    self._compare_state(due.pop(0))
                waiting += [(record, m) for m in self._fold.fold(record) if m.topic == self._here.topics.alerts]
                self.alerts.count("records")
                if self._fold.loss is None:  # else the rest of the log may have what is missing
                    for given, message in waiting:
                        self._compare(given, message)
                    waiting.clear()
                    self.alerts.end = record.offset + 1
        for one in due:
            self._compare_state(one)
        if checkpoint is None:
            self.alerts.leaves_out("no checkpoint in Redis: whether alerts are missing at the end")
            if high > start:
                self.state.cannot_decide("no checkpoint in Redis")
        if self._fold.loss is not None:
            self.alerts.differs(named(self._source, self.alerts.end), self._fold.loss)

    def _compare(self, record: Record, message: Outgoing) -> None:
        expected = message.value or b""
        alert = msgspec.json.decode(expected, type=AlertEnvelope)
        said = self._said.by_id.pop(alert.id, None)
        where = f"{alert.type} {alert.id} of {alert.subject}"
        self.alerts.count("alerts")
        if said is None:
            log, checkpoint = TopicPartition(message.topic, message.partition or 0), self._reach.checkpoint
            if self._said.may_be_gone(log, message.timestamp_ms or 0):
                self.alerts.count("alerts no longer kept")
            elif checkpoint is not None and record.offset < checkpoint.position:
                self.alerts.differs(named(record.source, record.offset), f"{where} is missing in {named(log)}")
            return
        if said.offset < self._stands.get(said.source, -1):
            self.alerts.differs(said.at, f"{where}: stands before alerts that it follows")
        self._stands[said.source] = said.offset
        if said.digest != digest(expected):
            text, release = contradiction(self._here, expected, said)
            if release is None:
                self.alerts.differs(said.at, f"{where}: {text}")
            else:
                self.alerts.leaves_out(f"alerts of release {release}: this is {self._here.code_version} ({said.at})")

    def _due(self, start: int) -> list[_Due]:
        """Return the checkpoints to compare, in order of the log; tell of those that it does not reach."""
        reach, high = self._reach, self._reach.observations.high
        log = named(TopicPartition(self._here.topics.checkpoints, reach.partition))
        newest = sorted(reach.logged, key=lambda one: one.position)[-MOST_LOGGED:]
        due = [_Due(one.position, self.logged, f"{log}: checkpoint at {one.position}", one.read) for one in newest]
        if reach.checkpoint is not None:
            at = f"checkpoint {reach.partition} at {reach.checkpoint.position}"
            due.append(_Due(reach.checkpoint.position, self.state, at, partial(_given, reach.checkpoint)))
        for one in due:
            if one.position > high:
                one.evidence.differs(one.at, f"stands at {one.position} of the observations, which end at {high}")
        return sorted((one for one in due if start < one.position <= high), key=lambda one: one.position)

    def _compare_state(self, due: _Due) -> None:
        try:
            checkpoint = due.read()
        except Replaced:
            due.evidence.leaves_out(f"{due.at}: it was replaced meanwhile")
            return
        except Corrupt as exc:
            due.evidence.differs(due.at, str(exc))
            return
        if due.evidence is self.logged and checkpoint.bookmark.topic_id != self._reach.topic_id:
            due.evidence.leaves_out(f"{due.at}: it is of another topic of this name")
            return
        due.evidence.end = checkpoint.position
        due.evidence.count("bytes", len(checkpoint.state))
        wanted = self._fold.snapshot()
        if wanted == checkpoint.state:
            return
        other = fold_of(self._here, self._reach.partition)
        try:
            other.restore(checkpoint.state)
        except Corrupt as exc:
            due.evidence.differs(due.at, str(exc))
            return
        if written_version(checkpoint.state) != written_version(wanted) and other.snapshot() == wanted:
            return  # of an earlier release, and brought on as its successor does it
        for text in _differences(other, self._fold):
            due.evidence.differs(due.at, text)


def _given(checkpoint: Checkpoint) -> Checkpoint:
    return checkpoint


def _differences(given: PartitionFold, wanted: PartitionFold) -> Iterator[str]:
    """Yield in what two states differ, of which at least one thing does."""
    plain = (
        ("last sequence numbers", "last"),
        ("folds that gave them", "folds"),
        ("log time", "log_time"),
        ("anchored shards", "anchored"),
        ("lost", "missing"),
    )
    known = [
        f"{words}: {getattr(given, name)}, not {getattr(wanted, name)}"
        for words, name in plain
        if getattr(given, name) != getattr(wanted, name)
    ]
    for key in dict.fromkeys([*wanted.watches, *given.watches]):
        one, other = given.watches.get(key), wanted.watches.get(key)
        if one is None or other is None:
            known.append(f"{' '.join(key)} is {'not ' if one is None else ''}watched")
        elif one.snapshot() != other.snapshot():
            known.append(f"{' '.join(key)}: state of {one.rows_served:,} rows, not that of {other.rows_served:,} rows")
    yield from known or ["other bytes"]
