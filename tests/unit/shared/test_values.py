"""Values from outside."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.values import class_text, finite, format_ts, identifier, parse_ts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (1e300, "1e+300"),
        (10**15, "1000000000000000"),
        ("yes", "yes"),
        (" yes ", "yes"),
        ("e\u0301", "é"),
        ("x" * 300, "x" * 256),
        ("é" * 300, "é" * 256),
    ],
)
def test_a_class_is_its_json_text(value: float | str | bool, text: str) -> None:
    assert class_text(value) == text


@pytest.mark.parametrize("name", ["car_loan", "v1.2", "team:model/eu-west", "a" * 128])
def test_a_name_is_returned_as_it_is(name: str) -> None:
    assert identifier(name) == name


@pytest.mark.parametrize("name", ["", "a" * 129, "a b", "a\n", "модель", "a\0", "../*"])
def test_a_name_with_other_characters_is_malformed(name: str) -> None:
    with pytest.raises(Malformed, match="charset") as refused:
        identifier(name)

    assert refused.value.reason == "charset"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2024-02-29T12:00:00.250Z", 1_709_208_000_250),
        ("2024-02-29T13:00:00.25+01:00", 1_709_208_000_250),
        ("2024-02-29t12:00:00.250000z", 1_709_208_000_250),
        ("2024-02-29 12:00:00.25Z", 1_709_208_000_250),
        ("1969-12-31T23:59:59Z", -1_000),
    ],
)
def test_an_rfc_3339_time_is_milliseconds(text: str, ms: int) -> None:
    assert parse_ts(text) == ms


@pytest.mark.parametrize(
    "text",
    ["", "1709208000", "2024-02-29", "2024-02-29T12:00:00", "2023-02-29T12:00:00Z", "0000-01-01T00:00:00Z", "now"],
)
def test_any_other_time_is_malformed(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_ts(text)

    assert refused.value.reason == "ts"


@given(st.integers(0, 4_102_444_800_000))
def test_a_time_survives_being_written_and_read(ms: int) -> None:
    assert parse_ts(format_ts(ms)) == ms


@pytest.mark.parametrize(("value", "kept"), [(1.5, 1.5), (math.nan, None), (math.inf, None), (-math.inf, None)])
def test_only_finite_numbers_are_kept(value: float, kept: float | None) -> None:
    assert finite(value) == kept


def test_minus_zero_is_zero() -> None:
    assert math.copysign(1.0, finite(-0.0) or 0.0) == 1.0
