"""Alerts, each of them once in the log: what a partition has said already is not said again when it is folded again.

The alerts of one partition of the observations are numbered by the record that they follow from, and written in
transactions under one name. Each transaction also writes the number of its last alert into `driftline.checkpoints`, so
that a successor, whose first act is to shut out the one before, finds exactly what has been said.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import google_crc32c
import msgspec
import structlog

from shared.errors import Corrupt
from shared.history import history
from shared.log import ExclusiveWriter, Outgoing, Reader, Record, TopicPartition
from shared.topics import Topics
from shared.unreadable import UNREADABLE

LOG = structlog.get_logger("detector")


class Mark(msgspec.Struct, frozen=True):
    """The last alert that was said, and what the record that it follows from looks like."""

    offset: int  # of that record
    number: int  # among the alerts of that record
    crc: int  # of its value


class AlertLog:
    """Writes the alerts of each partition of the observations. After an error a partition is opened anew.

    Raises: Unavailable when no broker answers, or another detector has opened the partition.
    """

    def __init__(
        self,
        open_writer: Callable[[str], ExclusiveWriter],
        open_reader: Callable[[], Reader],
        topics: Topics,
        installation: str,
    ) -> None:
        self.repeated = 0  # alerts that had been said before
        self._open_writer = open_writer
        self._open_reader = open_reader
        self._topics = topics
        self._name = f"{topics.prefix}driftline-{installation}-alerts"
        self._key = f"{installation}/alerts".encode()
        self._writers: dict[int, ExclusiveWriter] = {}
        self._said: dict[int, tuple[int, int]] = {}  # by partition: the last alert in the log, as (offset, number)
        self._marks: dict[int, Mark] = {}  # of what is not committed yet

    def open(self, partition: int) -> None:
        """Become the one who writes the alerts of a partition, and find out what has been said."""
        self.leave(partition)
        self._writers[partition] = self._open_writer(f"{self._name}-{partition}")
        self._said[partition] = self._last_said(partition)

    def say(self, record: Record, number: int, message: Outgoing) -> bool:
        """Write alert `number` of those that follow from `record`, unless it was; return whether it goes out now."""
        if (record.offset, number) <= self._said[record.partition]:
            self.repeated += 1
            return False
        self._writers[record.partition].send(message)
        self._marks[record.partition] = Mark(record.offset, number, _crc(record))
        return True

    @property
    def is_pending(self) -> bool:
        """Return whether there is anything to commit."""
        return bool(self._marks)

    def commit(self) -> None:
        """Wait until everything that was said is safe, all of a partition or nothing."""
        for partition, mark in list(self._marks.items()):
            value = msgspec.json.encode(mark)
            self._writers[partition].send(Outgoing(self._topics.checkpoints, value, self._key, partition))
            self._writers[partition].commit()
            self._said[partition] = mark.offset, mark.number
            del self._marks[partition]

    def close(self) -> None:
        """Leave; what is not committed is not said."""
        for partition in list(self._writers):
            self.leave(partition)

    def leave(self, partition: int) -> None:
        """Let others write the alerts of a partition; what is not committed is not said."""
        self._marks.pop(partition, None)
        if partition in self._writers:
            self._writers.pop(partition).close()

    def _last_said(self, partition: int) -> tuple[int, int]:
        """Return the last alert in the log; (-1, -1) where there is none, or where the log is not that one any more."""
        with closing(self._open_reader()) as reader:
            source = TopicPartition(self._topics.checkpoints, partition)
            last = None
            for record in history(reader, source, *reader.bounds(source)):
                last = record.value if record.key == self._key else last
            if last is None:
                return -1, -1
            mark = _decoded(last)
            observations = TopicPartition(self._topics.observations, partition)
            if mark.offset < reader.bounds(observations).low:
                return mark.offset, mark.number
            same = [_crc(record) for record in history(reader, observations, mark.offset, mark.offset + 1)]
        if same != [mark.crc]:
            LOG.warning("alerts_said_again", partition=partition, why=f"the log is another one at {mark.offset}")
            return -1, -1
        return mark.offset, mark.number


def _decoded(value: bytes) -> Mark:
    try:
        return msgspec.json.decode(value, type=Mark)
    except UNREADABLE as exc:
        raise Corrupt(f"what says up to where alerts were written does not read ({exc})") from exc


def _crc(record: Record) -> int:
    return int(google_crc32c.value(record.value or b""))
