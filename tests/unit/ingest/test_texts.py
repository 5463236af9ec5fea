"""Classes and categories as numbers: the same texts, however rows are cut into chunks and blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.ingest.texts import MAX_LEVELS, Texts, Vocabulary, joined_texts
from shared.values import class_text

VALUE = st.sampled_from(["low", "1", "true", 1, 1.0, 0, True, False, 2.5, None])


def read(texts: Texts) -> list[str | None]:
    found: list[str | None] = texts.dictionary().to_pylist()
    return found


def text_of(value: str | float | bool | None) -> str | None:
    return None if value is None else class_text(value)


@given(st.lists(st.lists(VALUE, min_size=1, max_size=8), min_size=1, max_size=6))
def test_chunks_of_one_column_read_as_their_values_one_by_one(chunks: list[list[str | float | bool | None]]) -> None:
    vocabulary = Vocabulary()
    parts = [vocabulary.texts(chunk) for chunk in chunks]
    expected = [[text_of(value) for value in chunk] for chunk in chunks]

    assert [read(part) for part in parts] == expected
    assert read(joined_texts(parts)) == [text for chunk in expected for text in chunk]


@given(st.lists(st.lists(VALUE, min_size=1, max_size=8), min_size=1, max_size=6))
def test_columns_of_several_vocabularies_are_joined(chunks: list[list[str | float | bool | None]]) -> None:
    joined = joined_texts([Vocabulary().texts(chunk) for chunk in chunks])

    assert read(joined) == [text_of(value) for chunk in chunks for value in chunk]
    assert len(set(joined.levels)) == len(joined.levels)


def test_a_block_holds_the_levels_of_its_rows_and_no_others() -> None:
    texts = Vocabulary().texts(["a", "b", None, "c"])

    assert joined_texts([texts.part(1, 3)]).levels == ["b"]
    assert joined_texts([texts.part(2, 3)]).levels == []


def test_a_vocabulary_that_is_full_begins_anew() -> None:
    values = list(map(str, range(MAX_LEVELS + 1)))
    vocabulary = Vocabulary()
    full = vocabulary.texts(values)
    fresh = vocabulary.texts(["new", "7"])

    assert fresh.levels == ["new", "7"]
    assert read(joined_texts([full, fresh])) == [*values, "new", "7"]
