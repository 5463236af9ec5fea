"""How a value from outside becomes the text or number that every service compares."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from shared.errors import Malformed

Micros = TypeVar("Micros", int, npt.NDArray[np.int64])

MISSING_LEVEL = "__missing__"
OTHER_LEVEL = "__other__"
MAX_CATEGORY_CHARS = 256

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IDENTIFIER = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")


def class_text(value: float | str | bool) -> str:
    """Return the JSON text of a class or category: `true`, `1` (1.0 equals 1), `yes` (NFC, stripped, capped)."""
    if isinstance(value, str):  # most are
        text = value if value.isascii() else unicodedata.normalize("NFC", value)
        return text.strip()[:MAX_CATEGORY_CHARS]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def identifier(value: str) -> str:
    """Return `value` if it may name a model, a version, a feature or a dimension.

    Raises:
        Malformed: `charset`, when it holds anything but `A-Za-z0-9._:/-` or is longer than 128.
    """
    if _IDENTIFIER.fullmatch(value) is None:
        raise Malformed("charset", "names hold 1 to 128 of A-Za-z0-9._:/-")
    return value


def parse_ts(text: str) -> int:
    """Return milliseconds since 1970 of an RFC 3339 time with a zone.

    Raises:
        Malformed: `ts`, when it is no such time (seconds since 1970, no zone, year 0).
    """
    if _RFC3339.fullmatch(text) is None:
        raise Malformed("ts", "not an RFC 3339 time with a zone")
    try:
        micros = (datetime.fromisoformat(text.upper().replace(" ", "T")) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as exc:
        raise Malformed("ts", "not a time of the calendar") from exc
    return rounded_ms(micros)


def rounded_ms(micros: Micros) -> Micros:
    """Return whole milliseconds of microseconds, halves up."""
    return (micros + 500) // 1_000


def format_ts(ms: int) -> str:
    """Return the RFC 3339 text (UTC, milliseconds) of `ms`."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def finite(value: float) -> float | None:
    """Return the value with -0.0 as 0.0, or None where it is not finite."""
    return value + 0.0 if math.isfinite(value) else None
