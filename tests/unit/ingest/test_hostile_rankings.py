"""The fate of lists and gains, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from shared.events.block import MAX_BYTES, MAX_ROWS
from shared.events.ranking import MAX_ITEMS, pack_gains, pack_items
from shared.ingest.options import IngestOptions
from tests.kit.ingest import NOW, encoded, label, labels, prediction, predictions


def listed(items: object, **changes: Any) -> dict[str, Any]:
    return prediction(model="feed", features={"age": 41}, prediction=items, scores=None, segments=None, **changes)


def worth(gains: object, **changes: Any) -> dict[str, Any]:
    return label(model="feed", label=gains, **changes)


RIGHT, TRUE = encoded(listed(["a", "b"])), encoded(worth({"a": 1}))

REFUSED_LISTS: dict[str, tuple[object, str]] = {
    "a class": (listed("a"), "prediction"),
    "a number": (listed(7), "prediction"),
    "an object": (listed({"a": 1}), "prediction"),
    "null": (listed(None), "schema"),
    "a fraction in it": (listed(["a", 1.5]), "prediction"),
    "a boolean in it": (listed(["a", True]), "prediction"),
    "a null in it": (listed(["a", None]), "prediction"),
    "a list in it": (listed([["a"]]), "prediction"),
    "an item twice": (listed(["a", "b", "a"]), "prediction"),
    "1 and its text": (listed([1, "1"]), "prediction"),
    "an item without a text": (listed(["a", ""]), "prediction"),
    "an item of 257 characters": (listed(["x" * 257]), "prediction"),
    "101 items": (listed([*range(MAX_ITEMS + 1)]), "prediction"),
    "65 bits": (listed([2**64]), "range"),
    "NaN in it": (RIGHT.replace(b'"b"', b"NaN"), "json"),
    "no UTF-8 in it": (RIGHT.replace(b'"b"', b'"\xff"'), "utf8"),
    "a list of a class": (prediction(prediction=["a"]), "prediction"),
}
REFUSED_GAINS: dict[str, tuple[object, str]] = {
    "a class": (worth("a"), "label"),
    "a number": (worth(7), "label"),
    "a negative gain": (worth({"a": -1}), "label"),
    "a gain of 1e10": (worth({"a": 1e10}), "label"),
    "a gain of 400 digits": (worth({"a": 10**400}), "label"),
    "a text for a gain": (worth({"a": "1"}), "label"),
    "true for a gain": (worth({"a": True}), "label"),
    "null for a gain": (worth({"a": None}), "label"),
    "NaN for a gain": (TRUE.replace(b'"a":1', b'"a":NaN'), "json"),
    "101 items": (worth({str(item): 1 for item in range(MAX_ITEMS + 1)}), "label"),
    "two names of one item": (worth({"a": 1, "a ": 2}), "label"),
    "an item without a text": (worth({"": 1}), "label"),
    "a list with an item twice": (worth(["a", "a"]), "label"),
    "a list with 65 bits": (worth([2**64]), "range"),
    "gains of a class": (label(label={"a": 1}), "label"),
    "gains of a regression": (label(model="price", label={"a": 1}), "label"),
}


@pytest.mark.parametrize(("event", "reason"), REFUSED_LISTS.values(), ids=REFUSED_LISTS)
def test_a_list_that_cannot_be_used_is_a_dead_letter(event: object, reason: str) -> None:
    service = predictions()
    service.take(event)
    assert (service.reasons, service.rows) == ([reason], [])


@pytest.mark.parametrize(("event", "reason"), REFUSED_GAINS.values(), ids=REFUSED_GAINS)
def test_gains_that_cannot_be_used_are_a_dead_letter(event: object, reason: str) -> None:
    service = labels()
    service.take(event)
    assert (service.reasons, service.rows) == ([reason], [])


def test_a_dead_letter_says_what_is_wrong_with_a_list() -> None:
    service = predictions()
    service.take(listed(["a", "b", "a"]))
    [letter] = service.letters
    assert letter.detail == "an item that is listed twice"


USED_LISTS: dict[str, tuple[object, str | None, bytes | None]] = {
    "texts": (RIGHT, "a", pack_items(["a", "b"])),
    "integers": (listed([7, -1]), "7", pack_items(["7", "-1"])),
    "both": (listed(["a", 7]), "a", pack_items(["a", "7"])),
    "one item": (listed(["größer"]), "größer", pack_items(["größer"])),
    "none": (listed([]), None, b""),
    "no list, of a service that failed": (listed(None, error="timeout"), None, None),
    "the most": (listed([*range(MAX_ITEMS)]), "0", pack_items(map(str, range(MAX_ITEMS)))),
}


@pytest.mark.parametrize(("event", "first", "items"), USED_LISTS.values(), ids=USED_LISTS)
def test_a_list_is_kept_as_its_first_item_and_8_bytes_of_each(
    event: object, first: str | None, items: bytes | None
) -> None:
    service = predictions()
    service.take(event, event)  # by the slow path, then by the typed decoder
    assert service.reasons == []
    assert [(row["prediction"], row["prediction_items"]) for row in service.rows] == [(first, items)] * 2


USED_GAINS: dict[str, tuple[object, bytes]] = {
    "as it should be": (TRUE, pack_gains({"a": 1})),
    "several": (worth({"a": 1, "7": 2.5}), pack_gains({"7": 2.5, "a": 1})),
    "nothing relevant": (worth({}), b""),
    "only zeros": (worth({"a": 0}), b""),
    "a list": (worth(["a", 7]), pack_gains({"a": 1, "7": 1})),
    "an empty list": (worth([]), b""),
    "an unknown field": (worth({"a": 1}, colour="red"), pack_gains({"a": 1})),
    "a key twice, of which the last counts": (TRUE.replace(b'"a":1', b'"a":1,"a":3'), pack_gains({"a": 3})),
}


@pytest.mark.parametrize(("event", "gains"), USED_GAINS.values(), ids=USED_GAINS)
def test_gains_are_kept_as_16_bytes_of_each_item_that_is_worth_something(event: object, gains: bytes) -> None:
    service = labels()
    service.take(event, event)
    assert service.reasons == []
    assert [row["label"] for row in service.rows] == [gains, gains]


def test_lists_that_differ_behind_their_first_item_have_other_digests() -> None:
    service = predictions()
    service.take(listed(["a", "b"]), listed(["a", "c"]), listed(["a", "b"]), listed(["a"]), listed([]))
    first, second, again, short, empty = (row["digest"] for row in service.rows)
    assert first == again
    assert len({first, second, short, empty}) == 4


def test_blocks_of_the_longest_lists_stay_below_their_bound() -> None:
    service = predictions(options=IngestOptions(linger_ms=10_000_000))
    service.take(*(listed([*range(n, n + MAX_ITEMS)], request_id=f"r{n}") for n in range(MAX_ROWS)))
    sizes = [len(record.value or b"") for record in service.broker.records("driftline.halves")]
    assert service.reasons == []
    assert len(service.rows) == MAX_ROWS
    assert len(sizes) > 1
    assert max(sizes) <= MAX_BYTES


def test_a_ranking_has_the_columns_of_its_kind() -> None:
    service, truth = predictions(), labels()
    service.take(RIGHT)
    truth.take(TRUE)
    names = ["id", "ts", "src_topic", "src_partition", "src_offset"]
    assert list(service.rows[0]) == [*names, "digest", "prediction", "prediction_items", "f:age"]
    assert list(truth.rows[0]) == [*names, "label", "label_version"]
    assert truth.rows[0]["ts"] == NOW
