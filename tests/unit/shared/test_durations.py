"""Durations as people write them."""

from __future__ import annotations

import pytest

from shared.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("250ms", 250),
        ("30s", 30_000),
        ("15m", 900_000),
        ("12h", 43_200_000),
        ("90d", 7_776_000_000),
        ("2w", 1_209_600_000),
        ("1.5h", 5_400_000),
        (" 1d ", 86_400_000),
    ],
)
def test_a_number_and_a_unit_are_milliseconds(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text", ["", "90", "d", "0s", "-1d", "1 d", "1d12h", "1y", "١d", "1e3s", "nan", "0.5ms", "36501d", "9" * 400 + "w"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write a number and a unit, like 30s, 12h or 90d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (95_000, "1.58 m"),
        (3_600_000, "1 h"),
        (276_480_000, "3.2 d"),
        (604_800_000, "7 d"),
        (1_209_600_000, "2 w"),
    ],
)
def test_a_duration_is_written_in_its_largest_unit(ms: int, text: str) -> None:
    assert format_duration(ms) == text
