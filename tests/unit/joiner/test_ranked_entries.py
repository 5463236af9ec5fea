"""Lists and gains in the joiner: kept as they are, joined, corrected, and told apart by their bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.joiner.entry import Entry, pack, pack_labels, same_label, unpack
from services.joiner.lookup import found_in
from services.joiner.shapes import Shapes, pack_predictions
from services.joiner.words import Words
from shared.errors import Corrupt
from shared.events.block import BlockKind
from shared.events.ranking import pack_gains, pack_items
from tests.kit.halves import L, P, Shard, folded, labels, predictions, records, request, rows

COLUMNS = ("prediction_items", "label")
ITEMS, GAINS = ("a", "b", "c"), {"b": 2.0, "x": 1.0}
TEXTS = st.lists(st.sampled_from("abcdefgh"), unique=True)


def joined(shard: Shard, kind: BlockKind = BlockKind.LABELLED, names: tuple[str, ...] = COLUMNS) -> list[object]:
    return [row[2:] for row in rows(shard.outputs, kind, names)]


def test_a_list_and_its_gains_are_joined_in_either_order() -> None:
    predicted, labelled = predictions(P("r", items=ITEMS)), labels(L("r", GAINS))
    expected = [(pack_items(ITEMS), pack_gains(GAINS))]
    assert joined(folded(predicted, labelled)) == expected
    assert joined(folded(labelled, predicted)) == expected


def test_lists_of_all_lengths_stand_side_by_side() -> None:
    predicted = predictions(P("a", items=("x",)), P("b", items=()), P("c", items=ITEMS), P("d", prediction=None))
    labelled = labels(L("a", GAINS), L("b", {}), L("c", {"c": 1.0}), L("d", GAINS))
    assert joined(folded(predicted, labelled)) == [
        (pack_items(["x"]), pack_gains(GAINS)),
        (b"", b""),
        (pack_items(ITEMS), pack_gains({"c": 1.0})),
        (None, pack_gains(GAINS)),
    ]


def test_a_served_row_has_the_first_item_and_the_list() -> None:
    shard = folded(predictions(P("r", prediction="a", items=ITEMS)))
    assert joined(shard, BlockKind.SERVED, ("prediction", "prediction_items")) == [("a", pack_items(ITEMS))]


def test_other_gains_of_a_later_time_correct_and_equal_ones_do_not() -> None:
    first, same = labels(L("r", GAINS, ts=100)), labels(L("r", dict(reversed(GAINS.items())), ts=101))
    other = labels(L("r", GAINS | {"x": 3.0}, ts=102))
    shard = folded(predictions(P("r", items=ITEMS)), first, same, other)

    assert joined(shard, BlockKind.CORRECTED, (*COLUMNS, "replaced_label")) == [
        (pack_items(ITEMS), pack_gains(GAINS | {"x": 3.0}), pack_gains(GAINS))
    ]
    counted = shard.count()
    assert (counted.labels_joined, counted.label_duplicates, counted.corrections) == (1, 1, 1)


def test_gains_of_one_length_that_differ_are_no_duplicates() -> None:
    words = Words()
    one, other = (
        pack_labels("m", labels(L("a", gains)).batch, words).tobytes() + pack_gains(gains)
        for gains in ({"a": 1.0}, {"b": 1.0})
    )
    assert not same_label(one, other)
    assert same_label(one, one)


def test_every_version_of_a_request_has_its_own_list() -> None:
    shard = folded(
        predictions(P("r", items=ITEMS), version="v1"),
        predictions(P("r", items=("z",)), version="v2"),
        labels(L("r", GAINS)),
    )
    assert joined(shard) == [(pack_items(ITEMS), pack_gains(GAINS)), (pack_items(["z"]), pack_gains(GAINS))]


def test_a_repeated_list_is_a_duplicate_and_another_a_conflict() -> None:
    shard = folded(*(predictions(P("r", items=ITEMS, content=content)) for content in (1, 1, 2)))
    counted = shard.count()
    assert (counted.served, counted.prediction_duplicates, counted.prediction_conflicts) == (1, 1, 1)
    assert counted.classes_over_cap == 0


@given(versions=st.lists(st.none() | TEXTS, max_size=4), gains=st.none() | TEXTS)
def test_an_entry_of_lists_reads_back_as_it_was_packed(
    versions: list[list[str] | None], gains: list[str] | None
) -> None:
    words, parts = Words(), []
    for number, items in enumerate(versions):
        block = predictions(P("a", items=items), P("b", items=()), version=f"v{number}")
        shape = Shapes(words).admit(block, block.batch)
        assert shape is not None
        parts.append(pack_predictions(shape, block.batch, words)[:1].tobytes() + pack_items(items or ()))
    worth = dict.fromkeys(gains or (), 1.0)
    record = pack_labels("m", labels(L("a", worth)).batch, words).tobytes() + pack_gains(worth)
    entry = Entry(7, tuple(parts), b"" if gains is None else record)
    assert unpack(pack(entry), Shapes(words)) == entry


def test_an_entry_of_lists_that_is_cut_short_is_corrupt() -> None:
    shard = folded(predictions(P("r", items=ITEMS)), labels(L("r", GAINS)))
    packed = shard.entries[request("r")]
    with pytest.raises(Corrupt, match="does not end where its predictions say"):
        unpack(packed[:-1], Shapes(Words.unpack(shard.words)))


def test_batches_change_nothing_of_lists() -> None:
    halves = [
        predictions(P("a", items=ITEMS), P("b", items=("z",))),
        labels(L("a", GAINS), L("c", {})),
        predictions(P("c", items=("c",))),
        labels(L("b", {"z": 1.0}), L("a", {"a": 1.0}, ts=200)),
    ]
    whole = Shard()
    whole.fold(records(halves))
    assert whole.state == folded(*halves).state


def test_who_looks_a_request_up_sees_how_many_items_it_has() -> None:
    shard = folded(predictions(P("r", items=ITEMS)), labels(L("r", GAINS)))
    found = found_in(shard.entries[request("r")], Shapes(Words.unpack(shard.words)), 0)
    assert [one.prediction for one in found.predictions] == [3.0]
    assert found.label is not None
    assert found.label.label == 2.0
