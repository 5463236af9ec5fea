"""Entries and words as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.joiner.entry import LABEL_RECORD, Entry, expiry, pack, pack_labels, rank, same_label, unpack
from services.joiner.meta import Meta, summary
from services.joiner.shapes import Shapes, pack_predictions
from services.joiner.words import NAMESPACE_CAP, NULL, OTHER, TOTAL_CAP, Words, checksum
from shared.errors import Corrupt, Newer
from shared.events.block import FOLD
from tests.kit.halves import L, P, labels, predictions


def packed_parts(words: Words, *versions: str) -> tuple[bytes, ...]:
    shapes, parts = Shapes(words), []
    for version in versions:
        block = predictions(P("a"), version=version)
        shape = shapes.admit(block, block.batch)
        assert shape is not None
        parts.append(pack_predictions(shape, block.batch, words).tobytes())
    return tuple(parts)


@given(
    versions=st.integers(0, 4),
    expires=st.integers(0, 2**48 - 1),
    label=st.none() | st.builds(L, id=st.just("a"), version=st.none() | st.integers(-(2**62), 2**62)),
)
def test_an_entry_reads_back_as_it_was_packed(versions: int, expires: int, label: L | None) -> None:
    words = Words()
    parts = packed_parts(words, *(f"v{n}" for n in range(versions)))
    record = b"" if label is None else pack_labels("m", labels(label).batch, words).tobytes()
    entry = Entry(expires, parts, record)
    assert unpack(pack(entry), Shapes(words)) == entry


def test_a_binary_prediction_with_one_dimension_takes_47_bytes() -> None:
    words = Words()
    packed = pack(Entry(1, packed_parts(words, "v1"), b""))
    assert len(packed) == 47  # two more for each other dimension


def test_an_entry_cut_short_is_corrupt() -> None:
    words = Words()
    packed = pack(Entry(1, packed_parts(words, "v1"), b"\0" * LABEL_RECORD.itemsize))
    with pytest.raises(Corrupt, match="does not end where its predictions say"):
        unpack(packed[:-1], Shapes(words))


def test_an_entry_of_an_unknown_shape_is_corrupt() -> None:
    packed = pack(Entry(1, packed_parts(Words(), "v1"), b""))
    with pytest.raises(Corrupt, match="the view has no word 2"):
        unpack(packed, Shapes(Words()))


def test_an_expiry_beyond_48_bits_is_the_last_moment_there_is() -> None:
    assert expiry(2**47, 2**47) == 2**48 - 1
    assert expiry(5, 10) == 15


def test_labels_are_the_same_by_value_and_ordered_by_rank() -> None:
    batch = labels(L("a", ts=1), L("a", ts=2), L("a", "no", ts=2, version=0)).batch
    first, second, third = (bytes(row.tobytes()) for row in pack_labels("m", batch, Words()))
    assert same_label(first, second)
    assert not same_label(second, third)
    assert rank(first) < rank(second) < rank(third)


def test_words_keep_their_codes_over_bytes() -> None:
    words = Words()
    codes = [words.code("a", "x"), words.code("b", "x"), words.code("a", "y"), words.code("a", "x")]
    assert codes == [2, 3, 4, 2]
    again = Words.unpack(words.pack())
    assert [again.value(code) for code in (NULL, OTHER, 2, 3, 4)] == [None, "__other__", "x", "x", "y"]
    assert again.code("b", "x") == 3
    assert again.code("b", "z") == 5
    assert Words.unpack(words.pack()).pack() == words.pack()


def test_a_namespace_admits_a_thousand_words_in_order() -> None:
    words = Words()
    codes = [words.code("s", str(n)) for n in range(NAMESPACE_CAP + 2)]
    assert codes[-3:] == [NAMESPACE_CAP + 1, OTHER, OTHER]
    assert words.code("s", "0") == 2
    assert words.code("t", "0") == NAMESPACE_CAP + 2


def test_a_shard_admits_sixty_thousand_words() -> None:
    words = Words()
    codes = {words.code(str(n % 61), str(n)) for n in range(TOTAL_CAP + 5)}
    assert len(words) == TOTAL_CAP
    assert max(codes) < 2**16
    assert words.code("new", "x") == OTHER
    assert Words.unpack(words.pack()).pack() == words.pack()


def test_words_and_meta_of_a_later_version_or_fold_are_newer() -> None:
    with pytest.raises(Newer, match="words have version 9"):
        Words.unpack(b"\x09")
    with pytest.raises(Newer, match="the view has version"):
        Meta.unpack(b"\x09")
    with pytest.raises(Newer, match=f"the view is of fold {FOLD + 1}, this release knows up to {FOLD}"):
        Meta.unpack(Meta(prev=[-1], fold=FOLD + 1).pack())


def test_words_and_meta_of_an_earlier_version_or_that_do_not_read_are_corrupt() -> None:
    with pytest.raises(Corrupt, match="words have version 0"):
        Words.unpack(b"\x00")
    with pytest.raises(Corrupt, match="the view has version"):
        Meta.unpack(b"\x01")
    with pytest.raises(Corrupt, match="do not read back"):
        Words.unpack(b"\x01\xc1")
    with pytest.raises(Corrupt, match="does not read back"):
        Meta.unpack(b"\x02\xc1")


def test_no_words_have_no_checksum() -> None:
    assert checksum(b"") == 0
    assert checksum(Words().pack()) != 0


def test_a_shard_that_was_never_folded_has_no_counters() -> None:
    assert summary(b"") == {}
