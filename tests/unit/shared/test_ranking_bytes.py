"""Rankings and gains as bytes: what is equal, what is bounded, what is refused."""

from __future__ import annotations

import pytest

from shared.errors import Malformed
from shared.events.ranking import GAIN_BYTES, ITEM_BYTES, MAX_GAIN, MAX_ITEMS, item_texts, pack_gains, pack_items
from shared.values import MAX_CATEGORY_CHARS

REFUSED: dict[str, tuple[object, str]] = {
    "a text": ("a", "not a list of items"),
    "no list": (7, "not a list of items"),
    "too many": ([*range(MAX_ITEMS + 1)], "101 items; at most 100"),
    "a fraction": ([1.5], "an item that is neither a string nor an integer"),
    "a boolean": ([True], "an item that is neither a string nor an integer"),
    "a null": ([None], "an item that is neither a string nor an integer"),
    "a list": ([["a"]], "an item that is neither a string nor an integer"),
    "too long": (["x" * (MAX_CATEGORY_CHARS + 1)], "an item of 257 characters; at most 256"),
    "empty": ([""], "an item without a text"),
    "blank": ([" "], "an item without a text"),
    "twice": (["a", "b", "a"], "an item that is listed twice"),
    "twice, as a number and as a text": ([1, "1"], "an item that is listed twice"),
    "twice, once with a blank": (["a", "a "], "an item that is listed twice"),
}


@pytest.mark.parametrize(("items", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_list_of_different_items_is_refused_in_lists_and_in_labels(items: object, why: str) -> None:
    with pytest.raises(Malformed) as of_list:
        item_texts(items, "prediction")
    with pytest.raises(Malformed) as of_label:
        pack_gains(items)

    assert (of_list.value.reason, of_list.value.detail) == ("prediction", why)
    assert (of_label.value.reason, of_label.value.detail) == ("label", why)


@pytest.mark.parametrize("gain", [-1, -0.5, float("nan"), float("inf"), 2 * MAX_GAIN, 10**400, "1", None, True, [1]])
def test_a_gain_that_is_no_number_from_0_to_1e9_is_refused(gain: object) -> None:
    with pytest.raises(Malformed, match="label: a gain that is no number from 0 to 1e\\+09"):
        pack_gains({"a": gain})


def test_a_label_of_too_many_items_is_refused() -> None:
    with pytest.raises(Malformed, match="label: 101 items; at most 100"):
        pack_gains({str(item): 1 for item in range(MAX_ITEMS + 1)})


def test_the_largest_list_and_the_largest_label_take_8_and_16_bytes_an_item() -> None:
    items = item_texts([*range(MAX_ITEMS)], "prediction")
    assert len(pack_items(items)) == MAX_ITEMS * ITEM_BYTES
    assert len(pack_gains(dict.fromkeys(items, MAX_GAIN))) == MAX_ITEMS * GAIN_BYTES


def test_lists_differ_by_their_order_and_gains_do_not() -> None:
    assert pack_items(["a", "b"]) != pack_items(["b", "a"])
    assert pack_gains({"a": 1, "b": 2, "c": 1}) == pack_gains({"c": 1.0, "b": 2.0, "a": 1.0})


def test_an_item_that_is_worth_nothing_is_no_part_of_a_label() -> None:
    assert pack_gains({"a": 1, "b": 0}) == pack_gains({"a": 1})
    assert pack_gains({"b": 0.0}) == pack_gains({}) == pack_gains([]) == b""


def test_items_of_a_list_are_each_worth_one() -> None:
    assert pack_gains(["a", 7]) == pack_gains({"a": 1, "7": 1})


def test_the_bytes_are_those_of_every_release() -> None:
    assert pack_items(["a", "7"]).hex() == "e6c632b61e964e1f06eed105b82285fa"
    assert pack_gains({"a": 0.5, "7": 2}).hex() == ("06eed105b82285fa0000000000000040e6c632b61e964e1f000000000000e03f")
