"""The same events, read in different pieces and orders: ids and places may differ, what is found may not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from services.joiner.meta import Counters
from shared.events.block import BlockKind
from tests.kit.pipeline import Pipeline, findings, monitored, traffic

STEADY, EVENTS = 2_000, 4_000
MODELS = ("loan", "house")
MONITORS = monitored(loan={}, house={})


class Pair(NamedTuple):
    """A prediction and its label, with the model's name."""

    model: str
    prediction: dict[str, Any]
    label: dict[str, Any]


class Schedule(NamedTuple):
    """How the same input comes to the services."""

    halves_partitions: int
    play: Callable[[Pipeline, Sequence[Pair]], None]


@cache
def pairs() -> tuple[Pair, ...]:
    """Return two models' events; the world of one of them changes."""
    steady, changed = traffic(EVENTS), traffic(STEADY) + traffic(EVENTS - STEADY, first=STEADY, region="south")
    sides = [("house", steady), ("loan", changed)]
    found = [
        Pair(model, {**prediction, "model": model}, {**label, "model": model})
        for step in zip(*(events for _, events in sides), strict=True)
        for (model, _), (prediction, label) in zip(sides, step, strict=True)
    ]
    # Some of everything that must not count twice, in all schedules at the same places of the two inputs.
    rng = np.random.default_rng(5)
    near = np.clip(np.arange(len(found)) + rng.integers(-20, 21, len(found)), 0, len(found) - 1).tolist()
    return tuple(found[other] if rng.random() < 0.02 else pair for pair, other in zip(found, near, strict=True))


def pieces(events: Sequence[Pair], size: int) -> Iterator[Sequence[Pair]]:
    return (events[start : start + size] for start in range(0, len(events), size))


def all_at_once(pipeline: Pipeline, events: Sequence[Pair]) -> None:
    write(pipeline, events, events)
    pipeline.run()


def in_pieces(pipeline: Pipeline, events: Sequence[Pair]) -> None:
    for piece in pieces(events, 333):
        write(pipeline, piece, piece)
        pipeline.run()


def labels_far_behind(pipeline: Pipeline, events: Sequence[Pair]) -> None:
    for piece in pieces(events, 700):
        write(pipeline, piece, ())
        pipeline.run()
    for piece in pieces(events, 900):
        write(pipeline, (), piece)
        pipeline.run()


def labels_a_little_ahead(pipeline: Pipeline, events: Sequence[Pair]) -> None:
    for piece in pieces(events, 450):
        write(pipeline, (), piece)
        pipeline.run("ground_truth_consumer", "joiner")
        write(pipeline, piece, ())
        pipeline.run()


def by_chance(pipeline: Pipeline, events: Sequence[Pair]) -> None:
    """Write and read in pieces of any size; services fall behind each other."""
    rng = np.random.default_rng(11)
    written = {True: 0, False: 0}
    while min(written.values()) < len(events):
        is_label = rng.random() < 0.5
        until = written[is_label] + int(rng.integers(1, 601))
        piece = events[written[is_label] : until]
        write(pipeline, () if is_label else piece, piece if is_label else ())
        written[is_label] = until
        pipeline.run(*rng.permutation(pipeline.services)[: rng.integers(1, 5)].tolist())
    pipeline.run()


def write(pipeline: Pipeline, predictions: Sequence[Pair], labels: Sequence[Pair]) -> None:
    for pair in predictions:
        pipeline.predict(**pair.prediction)
    for pair in labels:
        pipeline.label(**pair.label)


SCHEDULES = {
    "in pieces": Schedule(1, in_pieces),
    "labels far behind": Schedule(1, labels_far_behind),
    "labels a little ahead": Schedule(1, labels_a_little_ahead),
    "by chance": Schedule(1, by_chance),
    "three partitions": Schedule(3, in_pieces),
    "three partitions by chance": Schedule(3, by_chance),
}


def played(schedule: Schedule) -> Pipeline:
    pipeline = Pipeline(MONITORS, halves_partitions=schedule.halves_partitions)
    schedule.play(pipeline, pairs())
    return pipeline


@cache
def reference() -> Pipeline:
    """Return the pipeline that had everything at once."""
    return played(Schedule(1, all_at_once))


def counted(pipeline: Pipeline) -> dict[str, Counters]:
    return {model: pipeline.counters(model) for model in MODELS}


def joined(pipeline: Pipeline) -> set[tuple[str, bytes, str, str]]:
    return {(row["model"], row["id"], row["prediction"], row["label"]) for row in pipeline.rows(BlockKind.LABELLED)}


def test_the_reference_finds_the_one_change_there_is() -> None:
    assert findings(reference()) == [("loan", "v1", "data_drift", ("region",))]
    found = reference().counters("loan")
    assert found.prediction_duplicates > 0
    assert found.label_duplicates > 0


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_how_the_events_come_does_not_matter(schedule: Schedule) -> None:
    pipeline = played(schedule)

    assert counted(pipeline) == counted(reference())
    assert joined(pipeline) == joined(reference())
    assert findings(pipeline) == findings(reference())
    assert sorted(pipeline.cohorts, key=repr) == sorted(reference().cohorts, key=repr)


def test_other_pieces_make_other_ids() -> None:
    pipeline = played(SCHEDULES["by chance"])

    assert {data.incident_id for _, data in pipeline.incidents}.isdisjoint(
        data.incident_id for _, data in reference().incidents
    )
