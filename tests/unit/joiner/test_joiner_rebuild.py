"""A view that is gone is rebuilt in silence up to what is acknowledged, and aloud where outputs were lost."""

from __future__ import annotations

import pytest

from services.joiner.stage import TELL_SECONDS
from shared.log import Reached, TopicPartition
from tests.kit.halves import HOUR, P, predictions
from tests.kit.joining import TOPICS, Installation
from tests.kit.measuring import shown

HALVES = TopicPartition(TOPICS.halves, 0)
SHARD = (TOPICS.halves, "0")


def joined(count: int = 4) -> Installation:
    """Return an installation whose joiner has taken some records one by one, and told of each."""
    run = Installation()
    joiner = run.joiner(shards=[0])
    for number in range(count):
        run.write((predictions(P(f"{number}")), HOUR + number))
        joiner.step(0.0)
        run.clock.sleep(TELL_SECONDS)
    return run


def outputs(run: Installation) -> int:
    return len(run.broker.records(TOPICS.observations))


def test_a_joiner_tells_its_group_where_it_is_now_and_then() -> None:
    run = Installation()
    joiner = run.joiner(shards=[0])
    told = []
    for number, seconds in enumerate((0.0, TELL_SECONDS / 2, TELL_SECONDS / 2)):
        run.clock.sleep(seconds)
        run.write((predictions(P(f"{number}")), HOUR))
        joiner.step(0.0)
        told.append(run.broker.reached[HALVES].offset)

    assert told == [1, 1, 3]
    assert run.broker.reached[HALVES].note == f"{TOPICS.halves}#1 {TOPICS.observations}#1"


def test_outputs_that_are_acknowledged_are_not_written_again() -> None:
    run = joined()
    before = run.view.load(0)
    run.view.drop(0)
    joiner = run.joiner(shards=[0])

    joiner.step(0.0)

    assert (run.view.load(0), outputs(run), joiner.account.quiet) == (before, 4, 4)


def test_what_comes_after_the_acknowledged_is_written() -> None:
    run = joined()
    run.broker.reached[HALVES] = run.broker.reached[HALVES]._replace(offset=2)
    run.view.drop(0)

    run.joiner(shards=[0]).step(0.0)

    assert (outputs(run), len(run.accepted())) == (4 + 2, 4)


def test_a_rebuild_that_was_interrupted_goes_on_in_silence() -> None:
    run = joined(200)
    run.view.drop(0)
    run.joiner(shards=[0]).step(0.0)
    assert run.view.load(0).position == 128

    run.broker.reached.clear()
    run.joiner(shards=[0]).step(0.0)

    assert (run.view.load(0).position, outputs(run)) == (200, 200)


def test_a_rebuild_says_how_far_it_is_while_it_lasts() -> None:
    run = joined(200)
    run.view.drop(0)
    joiner = run.joiner(shards=[0])
    told = []
    for _ in range(2):
        joiner.step(0.0)
        counted = shown(joiner.measures())
        told.append((joiner.rebuilding(), counted["joiner_rebuild_records_done"], counted["joiner_rebuild_records"]))

    half = "the view is rebuilt from its log: 128 of 200 records of 1 shard"
    assert told == [(half, {SHARD: 128}, {SHARD: 200}), ("", {}, {})]


def test_a_rebuild_that_another_joiner_goes_on_with_counts_from_where_the_log_begins() -> None:
    run = joined(300)
    run.broker.delete_records(HALVES, 10)
    run.view.drop(0)
    run.joiner(shards=[0]).step(0.0)

    successor = run.joiner(shards=[0])
    successor.step(0.0)

    assert successor.rebuilding() == "the view is rebuilt from its log: 255 of 290 records of 1 shard"


def test_a_joiner_that_begins_rebuilds_nothing() -> None:
    run = Installation()
    run.write((predictions(P("0")), HOUR))
    joiner = run.joiner()
    joiner.step(0.0)

    assert joiner.rebuilding() == ""


@pytest.mark.parametrize(
    "reached",
    [
        None,
        Reached(4, f"{TOPICS.halves}#0 {TOPICS.observations}#1"),
        Reached(4, f"{TOPICS.halves}#1 {TOPICS.observations}#0"),
        Reached(4, ""),
        Reached(5, f"{TOPICS.halves}#1 {TOPICS.observations}#1"),
    ],
    ids=["nothing told", "other halves", "other observations", "of no topic", "beyond the log"],
)
def test_what_is_told_of_another_log_counts_for_nothing(reached: Reached | None) -> None:
    run = joined()
    run.broker.reached.clear()
    if reached is not None:
        run.broker.reached[HALVES] = reached
    run.view.drop(0)

    run.joiner(shards=[0]).step(0.0)

    assert (outputs(run), len(run.accepted())) == (8, 4)


def test_a_shard_that_is_repaired_is_told_aloud() -> None:
    run = joined()
    run.view.drop(0, aloud=True)

    run.joiner(shards=[0]).step(0.0)

    assert (outputs(run), len(run.accepted())) == (8, 4)
