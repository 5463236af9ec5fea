"""Bookmarks: by what a log is known again, kept beside every stored position in it.

An offset says nothing of the log it counts in. A topic that was deleted and created again, a disk that was restored and
a tail that an unclean election cut off and producers wrote anew all have offsets that fit; the topic's id, the checksum
of the record before the position and the epoch of that record's leader do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import google_crc32c
import msgspec

from shared.clock import Clock
from shared.errors import LogIdentity
from shared.log import UNKNOWN_EPOCH, Reader, Record, TopicPartition

CHECK_SECONDS = 300.0
NOTHING_READ = -1

Advice = Callable[[TopicPartition], str]


class Bookmark(msgspec.Struct, frozen=True, array_like=True):
    """A topic, and the record before a position in one of its logs: offset, checksum, leader epoch."""

    topic_id: str
    offset: int = NOTHING_READ
    digest: int = 0
    epoch: int = UNKNOWN_EPOCH


NOWHERE = Bookmark("")


def digest(record: Record) -> int:
    """Return the CRC32C of everything that a record consists of, its time and its headers included."""
    head = msgspec.msgpack.encode([record.timestamp_ms, record.key, record.headers])
    return int(google_crc32c.extend(google_crc32c.value(head), record.value or b""))


class Bookmarks:
    """Compares the logs of one reader with the bookmarks of its positions: where reading begins, and now and then.

    state: what the position is of, in words; advice: what people do when a log is another one.
    """

    def __init__(self, reader: Reader, clock: Clock, state: str, advice: Advice) -> None:
        self._reader = reader
        self._clock = clock
        self._state = state
        self._advice = advice
        self._topic_ids: dict[TopicPartition, str] = {}
        self._awaited: dict[TopicPartition, Bookmark] = {}  # whose records are read again, to be compared
        self._checked_at = clock.monotonic()

    def begin(self, source: TopicPartition) -> int:
        """Return the first offset of a log in which nothing was read yet."""
        self._awaited.pop(source, None)
        self._topic_ids[source] = self._reader.topic_id(source.topic)
        return self._reader.bounds(source).low

    def take_up(self, source: TopicPartition, position: int, bookmark: Bookmark) -> int:
        """Return where to read on so that `position` follows: at the bookmark's record, where the log still has it.

        Raises:
            LogIdentity: the log is not the one of the bookmark, or does not reach to the position.
        """
        self._awaited.pop(source, None)
        topic_id = self._reader.topic_id(source.topic)
        low, high = self._reader.bounds(source)
        if topic_id != bookmark.topic_id:
            raise self._other(source, f"the {self._state} is of the topic {bookmark.topic_id}, this one is {topic_id}")
        if not low <= position <= high:
            raise self._other(source, f"the {self._state} is at {position}, the log holds {low} to {high}")
        self._topic_ids[source] = topic_id
        if bookmark.offset < low:  # nothing was read, or retention has dropped it since
            return position
        self._awaited[source] = bookmark
        return bookmark.offset

    def unread(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return polled records without those that were read again to compare them.

        Raises:
            LogIdentity: one of those is another record now.
        """
        if not self._awaited:
            return records
        return [record for record in records if not self._is_read_again(record)]

    def of(self, record: Record) -> Bookmark:
        """Return the bookmark of the position after a record that was just read."""
        return Bookmark(self._topic_ids[record.source], record.offset, digest(record), record.epoch)

    def are_due(self) -> bool:
        """Tell, once every few minutes, that every position is to be taken up again."""
        due = self._clock.monotonic() - self._checked_at >= CHECK_SECONDS
        if due:
            self._checked_at = self._clock.monotonic()
        return due

    def _is_read_again(self, record: Record) -> bool:
        bookmark = self._awaited.pop(record.source, None)
        if bookmark is None:
            return False
        at = f"record {bookmark.offset}"
        if record.offset != bookmark.offset:
            raise self._other(record.source, f"{at}, the last one in the {self._state}, is gone")
        if digest(record) != bookmark.digest:
            raise self._other(record.source, f"{at} is not the one that the {self._state} has")
        if UNKNOWN_EPOCH < record.epoch < bookmark.epoch:
            raise self._other(
                record.source, f"{at} is of leader epoch {record.epoch}, the {self._state} has it of {bookmark.epoch}"
            )
        return True

    def _other(self, source: TopicPartition, difference: str) -> LogIdentity:
        return LogIdentity(f"{source.topic}-{source.partition}: {difference}; {self._advice(source)}")
