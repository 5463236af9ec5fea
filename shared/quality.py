"""`quality:` in `driftline.yaml`, and the formats of texts: what every row is expected to be."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from shared.errors import ConfigurationError, Malformed
from shared.values import identifier

MAX_EXPECTATIONS = 64
COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")

Format = Literal["email", "uuid", "iso-date", "iso-time"]


class QualitySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must hold in every row, as comparisons of a number with a number or with another: `start <= end`."""

    expect: list[str] = []


class Expectation(NamedTuple):
    """One comparison; the right side is a number or the name of a column."""

    text: str
    left: str
    comparison: str
    right: float | str


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
            f"write a column, one of {' '.join(COMPARISONS)}, and a number or a column, with spaces between them"
        )
    left, comparison, right = words
    try:
        limit: float | str = float(right)
    except ValueError:
        limit = identifier(right)
    if limit == left:
        raise ValueError("compares a column with itself")
    return Expectation(" ".join(words), identifier(left), comparison, limit)
