from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.cli.logs import following
from shared.adapters.memory import ManualClock, MemoryBroker, MemoryReader
from shared.control import read_whole
from shared.errors import ConfigurationError
from shared.log import Outgoing, Record, TopicPartition
from shared.topics import TopicSpec


class Impatient:
    """A reader whose polls take their whole time when nothing is there, as those of a real log do."""

    def __init__(self, reader: MemoryReader, clock: ManualClock) -> None:
        self._reader = reader
        self._clock = clock
        self.assign, self.seek, self.bounds = reader.assign, reader.seek, reader.bounds
        self.partitions, self.position, self.lag = reader.partitions, reader.position, reader.lag
        self.close, self.topic_id, self.tell, self.told = reader.close, reader.topic_id, reader.tell, reader.told

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        records = list(self._reader.poll(max_records, timeout))
        if not records:
            self._clock.sleep(timeout)
        return records


def broker_with(*values: bytes) -> MemoryBroker:
    broker = MemoryBroker(ManualClock())
    broker.create(TopicSpec("t", 2))
    for number, value in enumerate(values):
        broker.append(Outgoing("t", value, partition=number % 2))
    return broker


def test_a_whole_log_is_every_record_of_every_partition() -> None:
    broker = broker_with(b"0", b"1", b"2")

    assert sorted(record.value or b"" for record in read_whole(broker.reader(), "t")) == [b"0", b"1", b"2"]


def test_an_empty_log_ends_at_once() -> None:
    assert list(read_whole(broker_with().reader(), "t")) == []


def test_a_log_that_retention_has_shortened_is_read_from_what_is_kept() -> None:
    broker = broker_with(b"0", b"1", b"2", b"3")
    broker.delete_records(TopicPartition("t", 0), 1)
    broker.delete_records(TopicPartition("t", 1), 2)

    assert [record.value for record in read_whole(broker.reader(), "t")] == [b"2"]


def test_what_is_written_while_a_log_is_read_is_left_out() -> None:
    broker = broker_with(b"0", b"1")
    seen = []

    for record in read_whole(broker.reader(), "t"):
        seen.append(record.value)
        broker.append(Outgoing("t", b"later", partition=0))

    assert sorted(seen, key=str) == [b"0", b"1"]


def test_a_missing_topic_says_how_to_create_it() -> None:
    with pytest.raises(ConfigurationError, match="topic nowhere: does not exist; create it with"):
        list(read_whole(broker_with().reader(), "nowhere"))


def as_it_is(record: Record) -> Iterator[bytes]:
    yield record.value or b""


def test_following_ends_after_nothing_came_for_as_long_as_asked() -> None:
    clock = ManualClock()
    broker = broker_with(b"0")
    lines = following(Impatient(broker.reader(), clock), "t", as_it_is, clock, patience=3.0)

    first = next(lines)
    broker.append(Outgoing("t", b"later", partition=1))

    assert [first, *lines] == [b"0", b"later"]
    assert clock.monotonic() == 3.0


def test_following_ends_although_records_without_a_line_keep_coming() -> None:
    clock = ManualClock()
    broker = broker_with(b"shown")

    def tick_again(record: Record) -> Iterator[bytes]:
        clock.sleep(1.0)
        broker.append(Outgoing("t", b"tick", partition=0))
        return iter([b"shown"] if record.value == b"shown" else [])

    lines = following(Impatient(broker.reader(), clock), "t", tick_again, clock, patience=3.0)

    assert list(lines) == [b"shown"]
    assert clock.monotonic() == 4.0
