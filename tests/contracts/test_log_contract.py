"""What every log promises: records, positions, groups, acknowledgements."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError, LogIdentity
from shared.log import Bounds, Outgoing, Reached, Reader, TopicPartition
from shared.topics import TopicSpec
from tests.kit.logs import POLL_SECONDS, LogUnderTest, numbers, read, settle, write

CREATE = "does not exist; create it with `driftline topics create`"


@pytest.fixture
def topic(log: LogUnderTest) -> str:
    """A topic of two partitions."""
    name = log.topics.named("numbers")
    log.create(TopicSpec(name, 2))
    return name


def test_a_record_comes_back_as_it_was_written(log: LogUnderTest, topic: str) -> None:
    headers = (("kind", b"served"), ("kind", b"again"), ("empty", b""))
    write(
        log,
        Outgoing(topic, b"value", key=b"key", partition=1, headers=headers, timestamp_ms=1_700_000_000_123),
        Outgoing(topic, None, key=b"key", partition=1),
        Outgoing(topic, b"", partition=1),
    )
    reader = log.reader()

    reader.assign({TopicPartition(topic, 1): 0})
    first, tombstone, empty = read(reader, 3)

    assert (first.topic, first.partition, first.offset, first.timestamp_ms) == (topic, 1, 0, 1_700_000_000_123)
    assert (first.key, first.value, first.headers) == (b"key", b"value", headers)
    assert first.source == TopicPartition(topic, 1)
    assert (tombstone.offset, tombstone.key, tombstone.value, tombstone.headers) == (1, b"key", None, ())
    assert (empty.offset, empty.key, empty.value) == (2, None, b"")


def test_an_internal_topic_stamps_its_records_itself(log: LogUnderTest, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["log"] == "memory":
        request.applymarker(pytest.mark.xfail(strict=True, reason="a backtest says itself what time it was"))
    halves = next(spec for spec in log.topics.specs() if spec.name == log.topics.halves)
    log.create(halves)
    write(log, Outgoing(halves.name, b"x", partition=0, timestamp_ms=1))
    reader = log.reader()

    reader.assign({TopicPartition(halves.name, 0): 0})
    (record,) = read(reader, 1)

    assert record.timestamp_ms >= 1_700_000_000_000


def test_acknowledgements_name_partition_and_offset_and_come_from_poll_or_flush(log: LogUnderTest, topic: str) -> None:
    acknowledged: list[tuple[int, int]] = []
    writer = log.writer()

    for message in [*numbers(topic, 1, 2), *numbers(topic, 3, partition=1)]:
        writer.send(message, lambda partition, offset: acknowledged.append((partition, offset)))
    before = list(acknowledged)
    writer.flush()

    assert before == []
    assert sorted(acknowledged) == [(0, 0), (0, 1), (1, 0)]


def test_poll_serves_acknowledgements_without_a_flush(log: LogUnderTest, topic: str) -> None:
    acknowledged: list[int] = []
    writer = log.writer()
    reader = log.reader()
    reader.assign({TopicPartition(topic, 0): 0})

    writer.send(numbers(topic, 1)[0], lambda _, offset: acknowledged.append(offset))
    for _ in range(100):
        writer.poll()
        if acknowledged:
            break
        reader.poll(1, 0.1)

    assert acknowledged == [0]


def test_a_writer_can_be_closed_twice_and_delivers_what_it_was_given(log: LogUnderTest, topic: str) -> None:
    writer = log.writer()

    writer.send(numbers(topic, 1)[0])
    writer.close()
    writer.close()

    assert log.reader().bounds(TopicPartition(topic, 0)) == Bounds(0, 1)


def test_one_key_goes_to_one_partition(log: LogUnderTest, topic: str) -> None:
    write(log, *(Outgoing(topic, b"%d" % i, key=b"same") for i in range(6)))

    bounds = {log.reader().bounds(TopicPartition(topic, partition)) for partition in (0, 1)}

    assert bounds == {Bounds(0, 0), Bounds(0, 6)}


def test_a_block_of_three_mebibytes_passes(log: LogUnderTest) -> None:
    halves = next(spec for spec in log.topics.specs() if spec.name == log.topics.halves)
    log.create(halves)
    block = bytes(range(256)) * 4 * 1024 * 3
    write(log, Outgoing(halves.name, block, partition=0))
    reader = log.reader()

    reader.assign({TopicPartition(halves.name, 0): 0})

    assert [record.value for record in read(reader, 1)] == [block]


def test_a_reader_starts_at_the_offset_it_is_given(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, 10, 11, 12, 13))
    reader = log.reader()

    reader.assign({TopicPartition(topic, 0): 2})

    assert [(record.offset, record.value) for record in read(reader, 2)] == [(2, b"12"), (3, b"13")]


def test_a_poll_returns_no_more_than_asked_for_and_nothing_twice(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, *range(7)))
    reader = log.reader()
    reader.assign({TopicPartition(topic, 0): 0})

    (first,) = read(reader, 1)
    second = reader.poll(3, POLL_SECONDS)
    rest = read(reader, 6 - len(second))

    assert first.offset == 0
    assert len(second) <= 3
    assert [record.offset for record in (*second, *rest)] == [1, 2, 3, 4, 5, 6]
    assert reader.poll(10, 0) == []


def test_a_full_log_does_not_starve_the_others(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, *range(50)), *numbers(topic, 0, partition=1))
    reader = log.reader()
    reader.assign({TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 0})

    records = read(reader, 51, at_once=10)

    assert sorted(record.partition for record in records) == [0] * 50 + [1]
    assert [record.offset for record in records if record.partition == 0] == list(range(50))


def test_what_is_written_later_is_read_later(log: LogUnderTest, topic: str) -> None:
    reader = log.reader()
    reader.assign({TopicPartition(topic, 0): 0})

    nothing = reader.poll(10, 0.1)
    write(log, *numbers(topic, 1))

    assert nothing == []
    assert [record.value for record in read(reader, 1)] == [b"1"]


def test_seek_reads_again_and_leaves_the_other_logs_alone(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, *range(5)), *numbers(topic, 0, 1, partition=1))
    reader = log.reader()
    reader.assign({TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 0})
    read(reader, 7)

    reader.seek(TopicPartition(topic, 0), 3)
    again = read(reader, 2)

    assert [(record.partition, record.offset) for record in again] == [(0, 3), (0, 4)]
    assert reader.poll(10, 0.1) == []


def test_seek_right_after_assign_counts(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, *range(5)))
    reader = log.reader()

    reader.assign({TopicPartition(topic, 0): 0})
    reader.seek(TopicPartition(topic, 0), 4)

    assert [record.offset for record in read(reader, 1)] == [4]
    assert reader.poll(10, 0.1) == []


def test_a_new_assignment_replaces_the_former(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, 1, 2), *numbers(topic, 3, partition=1))
    reader = log.reader()
    reader.assign({TopicPartition(topic, 0): 0})
    read(reader, 2)

    reader.assign({TopicPartition(topic, 1): 0})

    assert [record.value for record in read(reader, 1)] == [b"3"]
    assert reader.poll(10, 0.1) == []


def test_bounds_are_the_first_offset_kept_and_the_next_to_be_written(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, *range(5)))
    log.delete_records(TopicPartition(topic, 0), 2)
    reader = log.reader()

    assert reader.bounds(TopicPartition(topic, 0)) == Bounds(2, 5)
    assert reader.bounds(TopicPartition(topic, 1)) == Bounds(0, 0)


def test_a_position_at_the_end_waits(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, 1, 2))
    reader = log.reader()

    reader.assign({TopicPartition(topic, 0): 2})
    before = reader.poll(10, 0.1)
    write(log, *numbers(topic, 3))

    assert before == []
    assert [record.offset for record in read(reader, 1)] == [2]


def test_a_position_behind_the_end_is_another_log(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, 1, 2))
    reader = log.reader()

    reader.assign({TopicPartition(topic, 0): 7})

    with pytest.raises(LogIdentity, match=f"{topic}-0"):
        read(reader, 1)


def test_a_position_that_was_trimmed_away_is_another_log(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, *range(5)))
    log.delete_records(TopicPartition(topic, 0), 3)
    reader = log.reader()

    reader.assign({TopicPartition(topic, 0): 1})

    with pytest.raises(LogIdentity, match=f"{topic}-0"):
        read(reader, 1)


def test_partitions_are_counted_and_a_missing_topic_has_none(log: LogUnderTest, topic: str) -> None:
    reader = log.reader()

    assert reader.partitions(topic) == 2
    assert reader.partitions(log.topics.named("missing")) == 0


def test_a_missing_topic_refuses_readers_and_writers(log: LogUnderTest) -> None:
    missing = log.topics.named("missing")

    with pytest.raises(ConfigurationError, match=CREATE):
        log.reader().assign({TopicPartition(missing, 0): 0})
    with pytest.raises(ConfigurationError, match=CREATE):
        log.writer().send(Outgoing(missing, b"x"))
    with pytest.raises(ConfigurationError, match=CREATE):
        log.group_reader("group", missing)


def test_a_missing_partition_refuses_readers_and_writers(log: LogUnderTest, topic: str) -> None:
    with pytest.raises(ConfigurationError, match="has 2 partitions, no 2"):
        log.reader().assign({TopicPartition(topic, 2): 0})
    with pytest.raises(ConfigurationError, match="has 2 partitions, no 2"):
        log.writer().send(Outgoing(topic, b"x", partition=2))


def test_a_topic_that_was_created_again_has_another_id(log: LogUnderTest, topic: str) -> None:
    before = log.topic_id(topic)

    log.delete(topic)
    log.create(TopicSpec(topic, 2))

    assert log.topic_id(topic) != before
    assert log.reader().topic_id(topic) == log.topic_id(topic)
    assert log.topic_id(topic) == log.topic_id(topic)


def test_how_far_a_log_is_done_with_is_told_and_moves_no_reader(log: LogUnderTest, topic: str) -> None:
    source = TopicPartition(topic, 0)
    write(log, *numbers(topic, 1, 2, 3))
    reader = log.reader()
    reader.assign({source: 0})
    before = reader.told(source)

    reader.tell(source, Reached(2, "of which topics"))
    records = read(reader, 3)

    assert before is None
    assert [record.offset for record in records] == [0, 1, 2]
    assert told_in_the_end(reader, source) == Reached(2, "of which topics")


def told_in_the_end(reader: Reader, source: TopicPartition) -> Reached | None:
    """Return what was committed, once it is."""
    for _ in range(100):
        found = reader.told(source)
        if found is not None:
            return found
        reader.poll(1, 0.1)
    return None


def test_a_reader_can_be_closed_twice(log: LogUnderTest, topic: str) -> None:
    reader, member = log.reader(), log.group_reader("group", topic)

    for _ in range(2):
        reader.close()
        member.close()


def test_a_group_starts_at_the_beginning(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, 1, 2, 3), *numbers(topic, 4, partition=1))

    member = log.group_reader("group", topic)
    records = read(member, 4)

    assert sorted(record.value or b"" for record in records) == [b"1", b"2", b"3", b"4"]
    assert member.assigned() == {TopicPartition(topic, 0), TopicPartition(topic, 1)}


def test_the_next_member_goes_on_at_the_committed_offset(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, *range(5)))
    first = log.group_reader("group", topic)
    read(first, 5)

    first.commit({TopicPartition(topic, 0): 3})
    first.close()

    assert [record.offset for record in read(log.group_reader("group", topic), 2)] == [3, 4]


def test_a_group_whose_committed_offset_was_trimmed_away_stops(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, *range(5)))
    first = log.group_reader("group", topic)
    read(first, 5)
    first.commit({TopicPartition(topic, 0): 1})
    first.close()

    log.delete_records(TopicPartition(topic, 0), 4)

    with pytest.raises(LogIdentity, match=f"{topic}-0"):
        read(log.group_reader("group", topic), 1)


def test_a_second_member_takes_its_share_and_the_first_is_told(log: LogUnderTest, topic: str) -> None:
    both = {TopicPartition(topic, 0), TopicPartition(topic, 1)}
    write(log, *numbers(topic, 1), *numbers(topic, 2, partition=1))
    first = log.group_reader("group", topic)
    read(first, 2)

    second = log.group_reader("group", topic)
    settle(first, second)

    assert first.assigned() | second.assigned() == both
    assert first.revoked() == second.assigned()
    assert first.revoked() == frozenset()


def test_a_commit_for_a_lost_log_is_left_out(log: LogUnderTest, topic: str) -> None:
    write(log, *numbers(topic, 1), *numbers(topic, 2, partition=1))
    first = log.group_reader("group", topic)
    read(first, 2)
    second = log.group_reader("group", topic)
    settle(first, second)
    (lost,) = second.assigned()

    first.commit(dict.fromkeys((TopicPartition(topic, 0), TopicPartition(topic, 1)), 1))
    first.close()
    second.close()
    third = log.group_reader("group", topic)

    assert [record.source for record in read(third, 1)] == [lost]
    assert third.poll(10, 0.5) == []


def test_the_survivor_gets_the_logs_of_a_member_that_left(log: LogUnderTest, topic: str) -> None:
    first, second = log.group_reader("group", topic), log.group_reader("group", topic)
    settle(first, second)

    second.close()
    for _ in range(200):
        if len(first.assigned()) == 2:
            break
        first.poll(10, 0.1)

    assert first.assigned() == {TopicPartition(topic, 0), TopicPartition(topic, 1)}
