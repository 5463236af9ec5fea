"""Dead letters by what they have in common: how many, since when, and where to look at one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from services.cli.dead_letters.selection import Letter
from services.cli.tables import Listing
from shared.values import OTHER_LEVEL, format_ts

MAX_GROUPS = 10_000  # the rest is one group
_DAY_CHARS, _HOUR_CHARS = len("2026-01-31"), len("2026-01-31T12")


class By(StrEnum):
    """What letters are put together by; times are when they were refused, UTC."""

    REASON = "reason"
    MODEL = "model"
    TOPIC = "topic"
    DAY = "day"
    HOUR = "hour"


class Group(msgspec.Struct, kw_only=True):
    """Letters that have the same in common."""

    by: dict[str, str]
    count: int
    first: str
    last: str
    example: str  # coordinates of the last one


def groups(letters: Iterable[Letter], by: Sequence[By]) -> list[Group]:
    """Return the groups, the largest first."""
    found: dict[tuple[str, ...], Group] = {}
    for letter in letters:
        key = tuple([_part(letter, one) for one in by])
        if key not in found and len(found) >= MAX_GROUPS:
            key = (OTHER_LEVEL,) * len(by)
        at, where = format_ts(letter.refused_ms), str(letter.coordinates)
        group = found.get(key)
        if group is None:
            names = dict(zip(map(str, by), key, strict=True))
            found[key] = Group(by=names, count=1, first=at, last=at, example=where)
            continue
        group.count += 1
        group.first, group.last = min(group.first, at), max(group.last, at)
        group.example = where
    return sorted(found.values(), key=lambda group: (-group.count, *group.by.values()))


def table_of(found: Sequence[Group], by: Sequence[By]) -> Listing:
    """Return a row for each group."""
    head = (*by, "letters", "first", "last", "example")
    rows = [
        (*(group.by[one] or "-" for one in by), f"{group.count:,}", group.first, group.last, group.example)
        for group in found
    ]
    return Listing(head, rows)


def _part(letter: Letter, by: By) -> str:
    match by:
        case By.REASON:
            return letter.content.reason
        case By.MODEL:
            return letter.content.model or ""
        case By.TOPIC:
            return letter.content.topic
        case By.DAY:
            return format_ts(letter.refused_ms)[:_DAY_CHARS]
        case By.HOUR:
            return format_ts(letter.refused_ms)[:_HOUR_CHARS]
