"""`quality:` in `driftline.yaml`, and the formats of texts: what every row is expected to be."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from typing import Literal, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from shared.errors import ConfigurationError, Malformed
from shared.values import identifier, parse_ts

MAX_EXPECTATIONS = 64
MAX_PATTERN = 1_000  # characters
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")

Format = Literal["email", "uuid", "iso-date", "iso-time"]
FORMATS_OF_TIMES: tuple[Format, ...] = ("iso-date", "iso-time")


class QualitySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must hold in every row, as comparisons of a number, or a time, with another: `start <= end`."""

    expect: list[str] = []


class Expectation(NamedTuple):
    """One comparison; the right side is a number, a time in milliseconds since 1970, or the name of a column."""

    text: str
    left: str
    comparison: str
    right: float | str
    is_of_time: bool = False  # the right side is a time


def read_expectations(path: str, texts: list[str]) -> list[Expectation]:
    """Return the comparisons in the order given.

    Raises:
        ConfigurationError: one that cannot be read, or too many; names its path.
    """
    if len(texts) > MAX_EXPECTATIONS:
        raise ConfigurationError(path, f"{len(texts)} expectations; at most {MAX_EXPECTATIONS}")
    found: list[Expectation] = []
    for number, text in enumerate(texts):
        try:
            expectation = _expectation(text)
        except (ValueError, Malformed) as exc:
            raise ConfigurationError(f"{path}.{number}", f"{text!r}: {exc}") from exc
        if expectation.text in {other.text for other in found}:
            raise ConfigurationError(f"{path}.{number}", f"{text!r} is given twice")
        found.append(expectation)
    return found


def _expectation(text: str) -> Expectation:
    words = text.split()
    if len(words) != 3 or words[1] not in COMPARISONS:
        raise ValueError(
            f"write a column, one of {' '.join(COMPARISONS)}, a number, time or column, with spaces between"
        )
    left, comparison, right = words
    if not math.isnan(time := time_of(right)):
        return Expectation(" ".join(words), identifier(left), comparison, time, is_of_time=True)
    try:
        limit: float | str = float(right)
    except ValueError:
        limit = identifier(right)
    if limit == left:
        raise ValueError("compares a column with itself")
    return Expectation(" ".join(words), identifier(left), comparison, limit)


def is_date(text: str) -> bool:
    """Tell whether a text is a day of the calendar, as `2026-02-28`."""
    try:
        return _DATE.fullmatch(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


def time_of(text: str) -> float:
    """Return the milliseconds since 1970 of a date, which begins at midnight UTC, or a time; NaN where it is none."""
    if is_date(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000.0
    try:
        return float(parse_ts(text))
    except Malformed:
        return math.nan


def matching(texts: list[str], pattern: str) -> list[bool]:
    """Return which texts a pattern of RE2 describes from end to end; the time it takes is linear in them."""
    # `check_pattern` reads it alone as well, so that no bracket of its own closes this one.
    found: list[bool] = pc.match_substring_regex(pa.array(texts, pa.string()), rf"\A(?:{pattern})\z").to_pylist()
    return found


def check_pattern(path: str, pattern: str) -> None:
    """Refuse what is no pattern.

    Raises:
        ConfigurationError: RE2 does not read it, or it is too long; names its path.
    """
    if len(pattern) > MAX_PATTERN:
        raise ConfigurationError(path, f"{len(pattern)} characters; at most {MAX_PATTERN}")
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
        matching([""], pattern)
    except pa.ArrowInvalid as exc:
        raise ConfigurationError(path, f"{pattern!r} is no pattern of RE2: {exc}") from exc
