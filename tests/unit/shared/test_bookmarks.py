"""Bookmarks: a log is known again by its topic's id, the record before the position, and that record's leader."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from shared.adapters.memory import ManualClock, MemoryBroker
from shared.bookmarks import CHECK_SECONDS, Bookmark, Bookmarks
from shared.errors import LogIdentity
from shared.log import Outgoing, TopicPartition
from shared.topics import TopicSpec

LOG = TopicPartition("numbers", 0)


@dataclass
class Here:
    """A log of five records, and who compares it."""

    broker: MemoryBroker
    clock: ManualClock
    bookmarks: Bookmarks

    def bookmark(self, offset: int) -> Bookmark:
        """Return the bookmark after a record of the log as it is."""
        self.bookmarks.begin(LOG)
        return self.bookmarks.of(self.broker.records(*LOG)[offset])


@pytest.fixture
def here() -> Here:
    clock = ManualClock()
    broker = MemoryBroker(clock)
    broker.create(TopicSpec("numbers", 1))
    for number in range(5):
        broker.append(Outgoing("numbers", b"%d" % number, partition=0))
    return Here(broker, clock, Bookmarks(broker.reader(), clock, "view", lambda source: f"see to {source.topic}"))


def test_reading_begins_at_the_record_before_the_position_which_is_then_left_out(here: Here) -> None:
    bookmark = here.bookmark(2)

    start = here.bookmarks.take_up(LOG, 3, bookmark)
    unread = here.bookmarks.unread(here.broker.records(*LOG)[start:])

    assert (start, [record.offset for record in unread]) == (2, [3, 4])
    assert [record.offset for record in here.bookmarks.unread(here.broker.records(*LOG)[2:])] == [2, 3, 4]


def test_a_bookmark_that_retention_has_passed_leaves_nothing_to_compare(here: Here) -> None:
    bookmark = here.bookmark(2)
    here.broker.delete_records(LOG, 3)

    assert here.bookmarks.take_up(LOG, 3, bookmark) == 3


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"value": b"other"}, "record 2 is not the one that the view has"),
        ({"timestamp_ms": 1}, "record 2 is not the one that the view has"),
        ({"headers": (("a", b""),)}, "record 2 is not the one that the view has"),
        ({"offset": 3}, "record 2, the last one in the view, is gone"),
        ({"epoch": 4}, "record 2 is of leader epoch 4, the view has it of 5"),
    ],
)
def test_another_record_is_another_log(here: Here, changed: dict[str, object], difference: str) -> None:
    record = msgspec.structs.replace(here.broker.records(*LOG)[2], epoch=5)
    here.bookmarks.begin(LOG)
    here.bookmarks.take_up(LOG, 3, here.bookmarks.of(record))

    with pytest.raises(LogIdentity, match=f"numbers-0: {difference}; see to numbers"):
        here.bookmarks.unread([msgspec.structs.replace(record, **changed)])


def test_the_same_record_of_a_later_or_an_unknown_leader_is_the_same_log(here: Here) -> None:
    record = msgspec.structs.replace(here.broker.records(*LOG)[2], epoch=5)
    here.bookmarks.begin(LOG)

    for epoch in (-1, 5, 6):
        here.bookmarks.take_up(LOG, 3, here.bookmarks.of(record))
        assert list(here.bookmarks.unread([msgspec.structs.replace(record, epoch=epoch)])) == []


@pytest.mark.parametrize("position", [0, 6])
def test_a_position_outside_the_log_is_of_another_log(here: Here, position: int) -> None:
    bookmark = here.bookmark(2)
    here.broker.delete_records(LOG, 1)

    with pytest.raises(LogIdentity, match=f"numbers-0: the view is at {position}, the log holds 1 to 5; see to"):
        here.bookmarks.take_up(LOG, position, bookmark)


def test_a_topic_that_was_created_again_is_another_log(here: Here) -> None:
    bookmark = here.bookmark(2)
    here.broker.delete("numbers")
    here.broker.create(TopicSpec("numbers", 1))

    with pytest.raises(LogIdentity, match="the view is of the topic numbers#1, this one is numbers#2"):
        here.bookmarks.take_up(LOG, 3, bookmark)


def test_logs_are_due_to_be_compared_every_few_minutes(here: Here) -> None:
    due = []
    for seconds in (0.0, CHECK_SECONDS / 2, CHECK_SECONDS / 2, CHECK_SECONDS / 2):
        here.clock.sleep(seconds)
        due.append(here.bookmarks.are_due())

    assert due == [False, False, True, False]
