"""Rows as flags: what each look tells of codes and numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.detector.quality.flags import AWAITED, EARLY_MS, NOTHING, Awaiting, Kind, Look, Looks, stale
from shared.quality import read_expectations

NO_CODES, NO_VALUES = np.zeros((4, 0), np.int32), np.zeros((4, 0))


def flags_of_codes(look: Look, *codes: int) -> list[int]:
    column = np.array(codes, np.int32)[:, None]
    found: list[int] = Looks.of([look]).read(column, np.zeros((len(codes), 0)))[0].tolist()
    return found


def flags_of_numbers(look: Look, *rows: tuple[float, ...]) -> list[int]:
    found: list[int] = Looks.of([look]).read(np.zeros((len(rows), 0), np.int32), np.array(rows))[0].tolist()
    return found


def test_a_value_is_missing_as_a_code_and_as_a_level() -> None:
    assert flags_of_codes(Look(Kind.WITHOUT_VALUE, 0), -1, 0, 1) == [1, 0, 0]
    assert flags_of_codes(Look(Kind.WITHOUT_VALUE, 0, code=1), -1, 0, 1) == [1, 0, 1]


def test_of_a_value_that_is_missing_no_other_look_says_anything() -> None:
    assert flags_of_codes(Look(Kind.OF_CODE, 0, code=2), -1, 2, 1) == [NOTHING, 1, 0]
    assert flags_of_numbers(Look(Kind.OUTSIDE, 0, low=0.0, high=1.0), (math.nan,)) == [NOTHING]


def test_a_bound_is_inside() -> None:
    look = Look(Kind.OUTSIDE, 0, low=0.0, high=1.0)

    assert flags_of_numbers(look, (-0.1,), (0.0,), (1.0,), (1.1,)) == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("a < b", [0, 1, 1]),
        ("a <= b", [0, 0, 1]),
        ("a == b", [1, 0, 1]),
        ("a != b", [0, 1, 0]),
        ("a > b", [1, 1, 0]),
        ("a >= b", [1, 0, 0]),
        ("a < 2", [0, 1, 1]),
        ("a >= 2", [1, 0, 0]),
    ],
)
def test_an_expectation_is_broken_where_it_does_not_hold(text: str, broken: list[int]) -> None:
    (expectation,) = read_expectations("expect", [text])

    look = Look.for_broken(expectation, {"a": 0, "b": 1})

    assert flags_of_numbers(look, (1.0, 2.0), (2.0, 2.0), (3.0, 2.0)) == broken


def test_an_expectation_says_nothing_where_either_side_is_missing() -> None:
    (expectation,) = read_expectations("expect", ["start <= end"])

    look = Look.for_broken(expectation, {"start": 1, "end": 0})

    assert flags_of_numbers(look, (math.nan, 1.0), (1.0, math.nan), (1.0, 2.0)) == [NOTHING, NOTHING, 1]


def test_looks_are_read_in_their_order_and_none_is_none() -> None:
    values = np.array([[1.0], [5.0]])
    looks = [Look(Kind.OUTSIDE, 0, low=2.0), Look(Kind.OUTSIDE, 0, high=2.0)]

    assert Looks.of(looks).read(np.zeros((2, 0), np.int32), values).tolist() == [[1, 0], [0, 1]]
    assert Looks.of([]).read(NO_CODES, NO_VALUES).shape == (0, 4)


def test_a_row_is_stale_a_day_behind_stream_time() -> None:
    now = 10 * EARLY_MS

    assert stale(np.array([now, now - EARLY_MS, now - EARLY_MS - 1]), np.full(3, now)).tolist() == [False, False, True]


def test_a_row_is_early_when_a_hundred_later_ones_are_a_day_behind_it() -> None:
    ts = np.zeros(3 * AWAITED, np.int64)
    ts[7] = EARLY_MS + 1

    found = Awaiting().early(ts, np.zeros_like(ts))

    assert found[:AWAITED].tolist() == [NOTHING] * AWAITED
    assert np.flatnonzero(found == 1).tolist() == [AWAITED + 7]


@pytest.mark.parametrize("cut", [1, 99, 100, 101])
def test_how_rows_are_cut_changes_no_flag_of_times(cut: int) -> None:
    rng = np.random.default_rng(3)
    ts = np.where(rng.random(700) < 0.1, 3 * EARLY_MS, 0) + np.arange(700)
    times = np.arange(700)
    whole, parts = Awaiting(), Awaiting()

    found = [parts.early(ts[at : at + cut], times[at : at + cut]) for at in range(0, 700, cut)]

    assert np.concatenate(found).tolist() == whole.early(ts, times).tolist()
    assert parts.recent.shape == (AWAITED,)
