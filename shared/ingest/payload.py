"""What a raw record must be before anyone looks inside: present, small, framed, and JSON in UTF-8."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import msgspec

from shared.errors import Malformed
from shared.log import Headers, Record, Records

MAX_PAYLOAD_BYTES = 256 * 1024
MAX_HEADERS, MAX_HEADER_BYTES = 32, 4 * 1024

# What a NaN or Infinity literal becomes. No producer sends this text, and one that does only makes itself malformed.
NOT_FINITE = "\0not finite"

_CONFLUENT_FRAME = 5  # a zero byte and the schema's id
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MODEL = re.compile(rb'"model"\s*:\s*"([A-Za-z0-9._:/-]{1,128})"')
# Possessive, and an open string ends with the payload: linear in its size whatever it holds.
_STRING_OR_LITERAL = re.compile(rb'"(?:[^"\\]|\\.)*+"?|-?Infinity|NaN', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Parsed:
    """An event without types: what the slow path decides on, field by field."""

    tree: Any
    literals: int  # NaN and Infinity literals found; each stands in `tree` as NOT_FINITE


def payload_of(record: Record) -> bytes:
    """Return the JSON bytes of a record, without a schema registry's frame.

    Raises:
        Malformed: `tombstone`, `empty`, `size`, `headers`, `json` (UTF-16) or `utf8`.
    """
    value = record.value
    if value is None:
        raise Malformed("tombstone")
    if len(value) > MAX_PAYLOAD_BYTES:
        raise Malformed("size", f"{len(value)} bytes; at most {MAX_PAYLOAD_BYTES}")
    if record.headers:
        _check_headers(record.headers)
    if value[:1] == b"\0":
        value = value[_CONFLUENT_FRAME:]
    if not value:
        raise Malformed("empty")
    if not value.isascii():
        _check_utf8(value)
    return value


def payloads_of(records: Records) -> Sequence[bytes]:
    """Return `payload_of` each record; nothing where that raises.

    Whether plain payloads are UTF-8 is for their decoder to say, which reads all the same.
    """
    values = records.values
    if not records.headers and _are_present(values) and _are_plain(values):
        return values
    return [_payload_or_nothing(record) for record in records]


def _are_present(values: Sequence[bytes | None]) -> TypeGuard[Sequence[bytes]]:
    return None not in values


def _are_plain(values: Sequence[bytes]) -> bool:
    """Tell whether all values are payloads as they stand."""
    first = min(values)  # an empty one, else one in a frame, if there is any
    return first[:1] > b"\0" and max(map(len, values)) <= MAX_PAYLOAD_BYTES


def _payload_or_nothing(record: Record) -> bytes:
    try:
        return payload_of(record)
    except Malformed:
        return b""


def are_utf8(payloads: Sequence[bytes]) -> bool:
    """Tell whether all payloads are UTF-8: a decoder does not look into what it hands over as it stands."""
    try:
        return all(map(bytes.isascii, payloads)) or all(payload.decode() is not None for payload in payloads)
    except UnicodeDecodeError:
        return False


def peek_model(payload: bytes) -> bytes | None:
    """Return the first text that looks like the model's name: a guess, to choose a typed decoder by."""
    found = _MODEL.search(payload)
    return None if found is None else found[1]


def parse(payload: bytes) -> Parsed:
    """Return the event without types; the last of duplicate keys wins.

    Raises:
        Malformed: `json`, `depth`, or `range` for a number that no float64 and no 64-bit integer holds.
    """
    literals = 0
    if b"NaN" in payload or b"Infinity" in payload:
        payload, literals = _mark_literals(payload)
    try:
        return Parsed(msgspec.json.decode(payload), literals)
    except RecursionError as exc:
        raise Malformed("depth", "nested too deeply") from exc
    except UnicodeDecodeError as exc:
        raise Malformed("utf8", "not UTF-8") from exc
    except msgspec.MsgspecError as exc:
        # msgspec has one error type; a number too large is the only grammatical JSON that it refuses.
        reason = "range" if "out of range" in str(exc) else "json"
        raise Malformed(reason, str(exc)) from exc


def _check_headers(headers: Headers) -> None:
    if len(headers) > MAX_HEADERS:
        raise Malformed("headers", f"{len(headers)} headers; at most {MAX_HEADERS}")
    size = sum(len(name) + len(content or b"") for name, content in headers)
    if size > MAX_HEADER_BYTES:
        raise Malformed("headers", f"{size} bytes of headers; at most {MAX_HEADER_BYTES}")


def _check_utf8(value: bytes) -> None:
    if value.startswith(_UTF16_MARKS):
        raise Malformed("json", "UTF-16; JSON is UTF-8")
    try:
        value.decode()
    except UnicodeDecodeError as exc:
        raise Malformed("utf8", f"{exc.reason} at byte {exc.start}") from exc


def _mark_literals(payload: bytes) -> tuple[bytes, int]:
    """Replace the literals outside strings by NOT_FINITE; Python's json.dumps writes them."""
    marker = msgspec.json.encode(NOT_FINITE)
    found = 0

    def mark(match: re.Match[bytes]) -> bytes:
        nonlocal found
        if match[0].startswith(b'"'):
            return match[0]
        found += 1
        return marker

    return _STRING_OR_LITERAL.sub(mark, payload), found
