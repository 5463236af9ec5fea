"""The order in which recorded events are produced: by their own time, as the world would have sent them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from operator import attrgetter
from typing import NamedTuple

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Dated(msgspec.Struct, frozen=True):
    """The two fields of both kinds of event that ordering and keying need."""

    request_id: str
    ts: datetime


_DECODER = msgspec.json.Decoder(_Dated)


class Event(NamedTuple):
    """One recorded event; `after_ms` counts from the first event of its set."""

    after_ms: int
    is_label: bool
    model: str
    request_id: str
    value: bytes


def request_id(line: bytes) -> str:
    """Return what joins a prediction with its label."""
    return _DECODER.decode(line).request_id


def events(model: str, predictions: Iterable[bytes], labels: Iterable[bytes]) -> Iterator[Event]:
    """Yield a set's JSON lines by their `ts`, predictions before labels on ties, otherwise in file order.

    Both inputs are in order of time already. The first prediction is the beginning of the set's time.
    """
    start: int | None = None

    def dated(lines: Iterable[bytes], *, is_label: bool) -> Iterator[tuple[int, bool, str, bytes]]:
        for line in lines:
            found = _DECODER.decode(line)
            yield round((found.ts - EPOCH).total_seconds() * 1000), is_label, found.request_id, line

    by_time_then_kind = heapq.merge(
        dated(predictions, is_label=False), dated(labels, is_label=True), key=lambda event: event[:2]
    )
    for ts_ms, is_label, request, line in by_time_then_kind:
        start = ts_ms if start is None else start
        yield Event(ts_ms - start, is_label, model, request, line)


def side_by_side(sets: Iterable[Iterator[Event]]) -> Iterator[Event]:
    """Yield the events of several sets as if all had begun at the same moment."""
    return heapq.merge(*sets, key=attrgetter("after_ms"))
