"""Rows that come again: what a row's content is, and how long it is remembered."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from services.detector.quality.flags import NOTHING
from services.detector.quality.repeats import REMEMBERED, Contents, Hashes, Repeats

HASHES = np.random.default_rng(1).integers(0, 2**63, 5_000).astype(np.uint64)


def contents(*, is_needed: bool = True) -> Contents:
    """Return a number and a category of two levels, the second of which is no value."""
    return Contents(
        place=np.array([0, 1]),
        is_number=np.array([True, False]),
        missing=np.array([-1, 1]),
        unknown=np.array([-9, 2]),
        is_needed=np.array([is_needed, is_needed]),
    )


def read(contents: Contents, *rows: tuple[float, int]) -> tuple[list[int], list[bool]]:
    codes = np.array([(0, code) for _, code in rows], np.int32)
    hashes, is_empty = contents.hashes(codes, np.array([[number] for number, _ in rows]))
    return hashes.tolist(), is_empty.tolist()


def again(hashes: Hashes, repeats: Repeats | None = None) -> list[int]:
    found: list[int] = (repeats or Repeats()).flags(hashes, np.zeros(len(hashes), np.bool_)).tolist()
    return found


def test_rows_are_the_same_where_every_feature_is() -> None:
    (one, same, number, level), _ = read(contents(), (1.5, 0), (1.5, 0), (1.25, 0), (1.5, 1))

    assert one == same
    assert len({one, number, level}) == 3


def test_what_is_missing_that_seldom_is_and_a_level_without_a_name_say_nothing() -> None:
    rows = (1.0, 0), (math.nan, 0), (1.0, -1), (1.0, 1), (1.0, 2)

    assert read(contents(), *rows)[1] == [False, True, True, True, True]
    assert read(contents(is_needed=False), *rows)[1] == [False, False, False, False, True]


def test_a_value_that_often_is_missing_is_a_value_like_any() -> None:
    (one, same, other), _ = read(contents(is_needed=False), (math.nan, 0), (math.nan, 0), (1.0, 0))

    assert one == same != other


def test_a_row_is_there_again_within_so_many_rows() -> None:
    rows = HASHES[: REMEMBERED + 2].copy()
    rows[REMEMBERED] = rows[0]
    rows[REMEMBERED + 1] = rows[0]

    assert np.flatnonzero(again(rows)).tolist() == [REMEMBERED, REMEMBERED + 1]

    rows[REMEMBERED] = HASHES[REMEMBERED]
    assert np.flatnonzero(again(rows)).tolist() == []


def test_a_row_that_says_nothing_is_no_event() -> None:
    rows = np.array([3, 3, 3], np.uint64)

    assert Repeats().flags(rows, np.array([False, True, False])).tolist() == [0, NOTHING, 1]


def test_hashes_that_share_a_place_are_told_apart() -> None:
    rows = (np.arange(8, dtype=np.uint64) << np.uint64(40)).astype(np.uint64)

    assert again(np.concatenate([rows, rows])) == [0] * 8 + [1] * 8


@pytest.mark.parametrize("cut", [1, 7, 999, 1_000, 1_001])
def test_how_rows_are_cut_changes_nothing_and_no_more_is_kept(cut: int) -> None:
    rows = HASHES[np.random.default_rng(2).integers(0, 1_500, 3_000)]
    parts = Repeats()

    found = [flag for at in range(0, len(rows), cut) for flag in again(rows[at : at + cut], parts)]

    assert found == again(rows)
    assert 0 < sum(found) < len(found)
    assert parts.recent.shape == (REMEMBERED,)


def test_a_state_goes_on_where_it_was() -> None:
    repeats = Repeats()
    again(HASHES[:1_200], repeats)
    kept = msgspec.structs.replace(repeats, recent=repeats.recent.copy())

    assert again(HASHES[900:1_300], kept) == again(HASHES[900:1_300], repeats) == [1] * 300 + [0] * 100
