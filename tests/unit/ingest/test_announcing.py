"""What consumers tell beside rows: features that nobody asked for, and definitions that they have taken up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.events.block import decode
from shared.events.news import News, TakenUp, UnknownFeatures
from shared.ingest.announcing import AGAIN_SECONDS, LOOK_SECONDS, MAX_NAMES
from shared.ingest.unknown import MAX_LEARNED
from tests.kit.ingest import TOPICS, Ingest, labels, loan, prediction, predictions, publish


def told(service: Ingest) -> list[News]:
    blocks = [decode(record) for record in service.broker.records(TOPICS.halves)]
    return [block.news for block in blocks if block.news is not None]


def later(service: Ingest, seconds: float = LOOK_SECONDS) -> None:
    service.clock.sleep(seconds)
    service.take()


def strange(**unknown: Any) -> dict[str, Any]:
    return prediction(features={"age": 41, "salary": "low", **unknown})


def test_features_that_nobody_asked_for_are_told_by_name() -> None:
    service = predictions()
    service.take(strange(shoe=43, hat=7), strange(shoe=44), prediction())
    later(service)

    assert told(service) == [UnknownFeatures("loan", ["hat", "shoe"])]
    assert len(service.rows) == 3


def test_they_are_told_again_every_ten_minutes_while_they_come() -> None:
    service = predictions()
    service.take(strange(shoe=43), strange(hat=7))
    later(service)
    for _ in range(3):
        service.take(strange(shoe=43))
        later(service, AGAIN_SECONDS / 3)
    later(service, AGAIN_SECONDS)

    assert told(service) == [UnknownFeatures("loan", ["hat", "shoe"]), UnknownFeatures("loan", ["shoe"])]


def test_another_one_is_told_at_once() -> None:
    service = predictions()
    service.take(strange(shoe=43))
    later(service)
    service.take(strange(shoe=43, hat=7))
    later(service)

    assert told(service) == [UnknownFeatures("loan", ["shoe"]), UnknownFeatures("loan", ["hat", "shoe"])]


@pytest.mark.parametrize(
    ("names", "listed", "more"),
    [
        (["größe", "driver tenure"], 0, 1),
        (["shoe", "x" * 129], 1, 1),
        ([f"f{n:03}" for n in range(40)], MAX_NAMES, 8),
        ([f"f{n:03}" for n in range(200)], MAX_NAMES, MAX_LEARNED - MAX_NAMES + 1),
    ],
    ids=["none may name a feature", "one may not", "more than a record lists", "more than are learned"],
)
def test_what_is_told_is_bounded(names: list[str], listed: int, more: int) -> None:
    service = predictions()
    service.take(strange(**dict.fromkeys(names, 1)))
    later(service)

    (news,) = told(service)
    assert isinstance(news, UnknownFeatures)
    assert (len(news.names), news.more) == (listed, more)
    assert news.names == sorted(news.names)


@pytest.mark.parametrize("kind", [predictions, labels])
def test_a_definition_that_is_taken_up_while_a_consumer_runs_is_told(kind: Any) -> None:
    service = kind(loan())
    later(service)
    changed = msgspec.structs.replace(loan(), baseline_hash="b7")
    publish(service.catalogue, changed, offset=9)
    later(service)
    later(service)

    assert told(service) == [TakenUp("loan", 9, changed.hash)]


def test_what_comes_under_another_definition_is_told_anew() -> None:
    service = predictions(loan())
    service.take(strange(shoe=43))
    later(service)
    publish(service.catalogue, loan(spread=2), offset=9)
    service.take(strange(shoe=43))
    later(service)

    assert [type(news) for news in told(service)] == [UnknownFeatures, TakenUp, UnknownFeatures]
