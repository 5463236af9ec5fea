"""Joiners that share shards out among each other: whoever comes and goes, the observations are those of one."""

from __future__ import annotations

import pytest

from services.joiner.account import Account, Rebuild
from services.joiner.stage import JoinerStage
from shared.log import TopicPartition
from shared.measures import Measure
from shared.shares import GroupShares
from tests.kit.joining import TOPICS, Installation


@pytest.fixture(scope="module")
def alone() -> Installation:
    run = Installation()
    joiner = run.joiner()
    run.drive(lambda _: joiner.step(0.0))
    return run


def member(run: Installation) -> JoinerStage:
    return run.joiner(shares=GroupShares(run.broker.group_reader("joiner-shares", TOPICS.halves)))


def shown(joiner: JoinerStage) -> dict[str, Measure]:
    return {measure.name: measure for measure in joiner.measures()}


def test_shards_that_change_hands_are_folded_as_by_one(alone: Installation) -> None:
    run = Installation()
    joiners = [member(run)]

    def step(number: int) -> None:
        if number % 8 == 3:
            joiners.append(member(run))
        elif number % 8 == 6:
            joiners.pop(0).close()
        for joiner in joiners:
            joiner.step(0.0)

    run.drive(step)
    for joiner in joiners:
        joiner.step(0.0)
        joiner.step(0.0)

    assert run.accepted() == alone.accepted()
    assert [run.view.load(shard) for shard in (0, 1)] == [alone.view.load(shard) for shard in (0, 1)]


def test_a_joiner_shows_only_what_it_has() -> None:
    run = Installation()
    joiners = [member(run)]
    run.drive(lambda _: joiners[0].step(0.0))
    both = shown(joiners[0])["position"].samples

    joiners.append(member(run))
    for _ in range(2):
        for joiner in joiners:
            joiner.step(0.0)

    positions = [shown(joiner)["position"].samples for joiner in joiners]
    assert [len(found) for found in positions] == [1, 1]
    assert {**positions[0], **positions[1]} == both


def test_a_joiner_without_shards_waits() -> None:
    run = Installation()
    joiners = [member(run) for _ in range(3)]
    for joiner in joiners:
        joiner.step(0.0)

    run.drive(lambda _: joiners[0].step(0.0))

    assert joiners[2].step(0.0) is False
    assert shown(joiners[2])["position"].samples == {}


def test_a_rebuild_that_another_one_goes_on_with_is_not_ours_to_tell_of() -> None:
    sources = [TopicPartition(TOPICS.halves, shard) for shard in (0, 1)]
    account = Account()
    for source in sources:
        account.rebuild(source, Rebuild(0, 3, 10))

    account.keep({sources[1]})

    assert account.rebuilding() == "the view is rebuilt from its log: 3 of 10 records of 1 shard"
