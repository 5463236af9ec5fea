from __future__ import annotations

import numpy as np
import pytest

from services.detector.places import KEPT, MARKS, REACH, STEP, Places
from services.detector.structs import IntArray, decode_struct, encode_struct
from shared.events.alert import Place
from shared.values import format_ts


def append(places: Places, rows: int, topic: str = "predictions") -> None:
    """Take rows of which row r is at r ms, partition r % 3, offset 10 r."""
    numbers: IntArray = np.arange(places.rows, places.rows + rows)
    topics = np.full(rows, places.topic_code(topic), np.int32)
    places.append(numbers, topics, numbers % 3, numbers * 10)


def place(row: int, coordinates_of: int | None = None) -> Place:
    """Return the place of a row, with its own coordinates or those of another row."""
    of = row if coordinates_of is None else coordinates_of
    return Place(row=row, ts=format_ts(of), topic="predictions", partition=of % 3, offset=of * 10)


def filled(rows: int, cut: int) -> Places:
    places = Places()
    for start in range(0, rows, cut):
        append(places, min(cut, rows - start))
    return places


def test_a_row_within_reach_is_known_exactly() -> None:
    places = filled(10_000, 2_000)

    assert places.rows == 10_000
    for newest in (8_000, 9_999):
        for row in (newest, newest - 1, newest - REACH + 1):
            assert places.at(row, newest) == place(row)


def test_a_row_beyond_reach_is_found_by_reading_on_from_where_it_points() -> None:
    places = filled(20_000, 2_000)

    assert places.at(0, 19_999) == place(0)
    assert places.at(STEP + 1, 19_999) == place(STEP + 1, STEP)
    assert places.at(19_999 - REACH, 19_999) == place(19_999 - REACH, (19_999 - REACH) // STEP * STEP)


@pytest.mark.parametrize("cut", [1, 7, 500])
def test_how_rows_are_cut_into_blocks_does_not_matter(cut: int) -> None:
    whole, parted = filled(8_000, 2_000), filled(8_000, cut)

    rows = [0, 1, STEP, 3_000, 7_999 - REACH, 7_999 - REACH + 1, 7_999]
    assert [parted.at(row, 7_999) for row in rows] == [whole.at(row, 7_999) for row in rows]
    # At the end of a small block as at that row in the middle of a large one.
    early = filled(6_500, cut)
    assert [early.at(row, 6_499) for row in rows[:4]] == [whole.at(row, 6_499) for row in rows[:4]]


def test_marks_are_bounded_and_lie_further_apart_in_a_long_life() -> None:
    places = filled(STEP * MARKS + 3 * KEPT, 2_000)
    newest = places.rows - 1

    assert len(places.marks) <= MARKS
    assert places.at(3 * STEP, newest) == place(3 * STEP, 2 * STEP)
    assert places.at(4 * STEP + 5, newest) == place(4 * STEP + 5, 4 * STEP)


def test_the_first_row_that_needs_wider_marks_finds_them_wherever_its_block_ends() -> None:
    last = STEP * MARKS - 1  # seen from here, every mark is asked for; one row later every second
    places = filled(last - 499, 2_000)
    append(places, 1_000)

    assert places.at(3 * STEP, last) == place(3 * STEP)
    assert places.at(3 * STEP, last + 1) == place(3 * STEP, 2 * STEP)


def test_topics_are_told_apart() -> None:
    places = Places()
    append(places, 1, "old")
    append(places, 1, "new")
    append(places, 1, "old")

    assert [places.at(row, 2).topic for row in range(3)] == ["old", "new", "old"]
    assert places.topics == ["old", "new"]


def test_places_survive_a_checkpoint() -> None:
    places = filled(9_000, 900)
    restored = decode_struct(encode_struct(places), Places)

    append(places, 500)
    append(restored, 500)

    assert encode_struct(restored) == encode_struct(places)
    assert restored.at(2_000, 9_499) == places.at(2_000, 9_499)
