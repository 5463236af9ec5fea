"""Named formats of texts. Patterns are ours, linear in the text: nobody else's pattern is ever run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType

from shared.errors import Malformed
from shared.quality import Format
from shared.values import parse_ts

_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    try:
        parse_ts(text)
    except Malformed:
        return False
    return True


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


FORMATS: Mapping[Format, Callable[[str], bool]] = MappingProxyType(
    {
        "email": lambda text: _EMAIL.fullmatch(text) is not None,
        "uuid": _is_uuid,
        "iso-date": _is_date,
        "iso-time": _is_time,
    }
)
