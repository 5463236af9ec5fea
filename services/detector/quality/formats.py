"""What texts are to be like: a named format, or a pattern of RE2; and the times that they tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from services.detector.quality.flags import Flags
from services.detector.structs import FloatArray
from shared.errors import Malformed
from shared.monitors import FeatureSpec
from shared.quality import Format, is_date, matching, time_of
from shared.values import parse_ts

_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def _is_time(text: str) -> bool:
    try:
        parse_ts(text)
    except Malformed:
        return False
    return True


def times_of(texts: list[str]) -> FloatArray:
    """Return `time_of` each."""
    return np.array([time_of(text) for text in texts], np.float64)


def wrong_in(given: FeatureSpec) -> Callable[[list[str]], Flags] | None:
    """Return what tells which texts are not as the configuration says; None where it says nothing of them."""
    if given.pattern is not None:
        pattern = given.pattern
        return lambda texts: np.logical_not(matching(texts, pattern)).astype(np.int8)
    if given.format is not None:
        has_format = FORMATS[given.format]
        return lambda texts: np.array([not has_format(text) for text in texts], np.int8)
    return None


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


FORMATS: Mapping[Format, Callable[[str], bool]] = MappingProxyType(
    {
        "email": lambda text: _EMAIL.fullmatch(text) is not None,
        "uuid": _is_uuid,
        "iso-date": is_date,
        "iso-time": _is_time,
    }
)
