"""Partitions that a group shares out, in memory and on Kafka."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.log import Records
from shared.shares import GroupShares
from shared.topics import TopicSpec
from tests.kit.logs import LogUnderTest, numbers, write
from tests.kit.waiting import until

GROUP = "joiner-shares"


@pytest.fixture
def topic(log: LogUnderTest) -> str:
    """A topic of four partitions that hold something."""
    name = log.topics.named("numbers")
    log.create(TopicSpec(name, 4))
    for partition in range(4):
        write(log, *numbers(name, *range(20), partition=partition))
    return name


def settled(*shares: GroupShares) -> list[frozenset[int]]:
    """Ask until four partitions are shared out evenly; return who has what."""

    def is_even(held: list[frozenset[int]]) -> bool:
        return {len(one) for one in held} == {4 // len(shares)} and len(frozenset().union(*held)) == 4

    return until(lambda: [one.held() for one in shares], is_even)


def test_one_alone_has_everything(log: LogUnderTest, topic: str) -> None:
    assert settled(GroupShares(log.group_reader(GROUP, topic))) == [{0, 1, 2, 3}]


def test_two_have_half_each(log: LogUnderTest, topic: str) -> None:
    first = GroupShares(log.group_reader(GROUP, topic))
    settled(first)
    held = settled(first, GroupShares(log.group_reader(GROUP, topic)))
    assert sorted(map(len, held)) == [2, 2]
    assert frozenset().union(*held) == {0, 1, 2, 3}


def test_who_stays_has_what_the_other_one_left(log: LogUnderTest, topic: str) -> None:
    first, second = GroupShares(log.group_reader(GROUP, topic)), GroupShares(log.group_reader(GROUP, topic))
    settled(first, second)
    second.close()
    second.close()
    assert settled(first) == [{0, 1, 2, 3}]


def test_what_is_shared_out_is_not_read(log: LogUnderTest, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    member = log.group_reader(GROUP, topic)
    polled, read = member.poll, 0

    def counted(max_records: int, timeout: float) -> Sequence[Records]:
        nonlocal read
        found = polled(max_records, timeout)
        read += sum(map(len, found))
        return found

    monkeypatch.setattr(member, "poll", counted)
    shares, other = GroupShares(member), GroupShares(log.group_reader(GROUP, topic))
    settled(shares, other)
    other.close()
    settled(shares)
    for _ in range(20):
        shares.held()
        polled(0, 0.05)

    assert read <= 8  # at most one record, each time a partition is given to us and not paused yet
