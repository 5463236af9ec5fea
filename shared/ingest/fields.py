"""Single fields of an untyped event: each is returned, or its documented reason is raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeGuard

from msgspec import Meta

from shared.errors import Malformed
from shared.values import identifier, parse_ts

MAX_REQUEST_ID = 256
MIN_INT, MAX_INT = -(1 << 63), (1 << 64) - 1

# The typed decoders' counterparts. 64 bits: a longer integer goes to the slow path, which refuses it by `range`.
Int64 = Annotated[int, Meta(ge=MIN_INT, le=(1 << 63) - 1)]
RequestId = Annotated[str, Meta(min_length=1, max_length=MAX_REQUEST_ID)]

Value = float | str | bool
Tree = Mapping[str, object]


def required(tree: Tree, name: str) -> object:
    """Return a field that must be there and not null; raises `schema`."""
    value = tree.get(name)
    if value is None:
        raise Malformed("schema", f"{name} is missing")
    return value


def required_text(tree: Tree, name: str) -> str:
    """Return a required text; raises `schema` or `type`."""
    value = required(tree, name)
    if not isinstance(value, str):
        raise Malformed("type", f"{name} is not a string")
    return value


def request_id(tree: Tree) -> str:
    """Return the request id; raises `schema`, `type`, or `id` for its length."""
    text = required_text(tree, "request_id")
    if not 1 <= len(text) <= MAX_REQUEST_ID:
        raise Malformed("id", f"{len(text)} characters; 1 to {MAX_REQUEST_ID}")
    return text


def name_of(tree: Tree, field: str) -> str:
    """Return a model or version; raises `schema`, `type` or `charset`."""
    return identifier(required_text(tree, field))


def timestamp(tree: Tree, *, optional: bool) -> int | None:
    """Return the event's own time in ms; raises `ts` for anything but RFC 3339 with a zone."""
    value = tree.get("ts") if optional else required(tree, "ts")
    if value is None:
        return None
    if not isinstance(value, str):
        raise Malformed("ts", "not an RFC 3339 time with a zone")
    return parse_ts(value)


def check_optional(tree: Tree, name: str, *types: type) -> None:
    """Check a field that is not used further; raises `type`."""
    value = tree.get(name)
    if value is not None and type(value) not in types:
        raise Malformed("type", f"{name} is of a wrong type")


def in_range(value: object) -> None:
    """Check that an integer fits into 64 bits; raises `range`."""
    if isinstance(value, int) and not MIN_INT <= value <= MAX_INT:
        raise Malformed("range", "an integer of more than 64 bits")


def checked_items(value: object, reason: str) -> object:
    """Return a list of items for what it holds to be checked; raises `range`, and `reason` where it is no list."""
    if not isinstance(value, list):
        raise Malformed(reason, "not a list of items")
    for item in value:
        in_range(item)
    return value


def is_number(value: object) -> TypeGuard[float]:
    """Tell numbers from everything else, also from booleans."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_value(value: object) -> TypeGuard[Value]:
    """Tell what may be a category or class from lists and objects."""
    return isinstance(value, (str, int, float))
