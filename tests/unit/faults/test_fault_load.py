"""What the producers of the fault rig write."""

from __future__ import annotations

from collections import Counter

import msgspec

from shared.topics import Topics
from tests.faults.load import Load, Mix, load

TOPICS = Topics()


def fields(found: Load, topic: str) -> list[dict[str, object]]:
    return [msgspec.json.decode(event.value) for event in found.events if event.topic == topic]


def first_places(found: Load, topic: str) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, event in enumerate(found.events):
        if event.topic == topic:
            places.setdefault(event.key or "", place)
    return places


def test_the_same_seed_writes_the_same_and_another_seed_does_not() -> None:
    assert load(TOPICS, 7, 400) == load(TOPICS, 7, 400)
    assert load(TOPICS, 7, 400).events != load(TOPICS, 8, 400).events


def test_every_request_is_predicted_and_labelled() -> None:
    found = load(TOPICS, 7, 400)

    requests = {f"r{n}" for n in range(200)}
    assert first_places(found, TOPICS.predictions).keys() == first_places(found, TOPICS.ground_truth).keys() == requests
    assert (found.requests, found.labelled, found.poison) == (200, 200, 0)


def test_without_mistakes_nothing_is_repeated_and_labels_follow() -> None:
    found = load(TOPICS, 7, 400, Mix(copies=0, labels_first=0, corrected=0, versions_swapped=0))

    assert len(found.events) == 400
    labels = first_places(found, TOPICS.ground_truth)
    assert all(place < labels[key] for key, place in first_places(found, TOPICS.predictions).items())


def test_copies_come_as_often_as_asked() -> None:
    found = load(TOPICS, 7, 40, Mix(copies=1, copies_each=4, corrected=0, versions_swapped=0))

    assert set(Counter(event for event in found.events).values()) == {5}


def test_labels_may_come_first() -> None:
    found = load(TOPICS, 7, 400, Mix(copies=0, labels_first=1, corrected=0, versions_swapped=0))

    labels = first_places(found, TOPICS.ground_truth)
    assert all(labels[key] < place for key, place in first_places(found, TOPICS.predictions).items())


def test_corrections_come_in_order_or_not_as_asked() -> None:
    for mix, order in (
        (Mix(copies=0, corrected=1, versions_swapped=0), [None, 1, 2]),
        (Mix(copies=0, corrected=0, versions_swapped=1), [None, 2, 1]),
    ):
        labels = fields(load(TOPICS, 7, 40, mix), TOPICS.ground_truth)
        assert [label.get("label_version") for label in labels if label["request_id"] == "r3"] == order


def test_a_producer_that_starts_again_writes_its_last_events_again() -> None:
    plain, again = load(TOPICS, 7, 400), load(TOPICS, 7, 400, Mix(resent=50))

    middle = len(plain.events) // 2
    assert again.events == (*plain.events[:middle], *plain.events[middle - 50 :])


def test_poison_is_counted() -> None:
    found = load(TOPICS, 7, 4_000, Mix(poison=0.01))

    assert found.poison == sum((event.key or "").startswith("poison") for event in found.events) > 0
