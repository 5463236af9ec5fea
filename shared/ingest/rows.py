"""Rows on their way into a block, column by column: a Python object for each value would cost more than the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from struct import error, pack
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from shared.identity import ID_BYTES
from shared.ingest.texts import Texts
from shared.log import TopicPartition

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]  # ms since 1970
Flags = Mapping[int, int]  # position of a value to its FLAG_ bits


NO_TIME = -(1 << 63)  # of an event that does not say when it was


class Content(NamedTuple):
    """What events say, in the codec's own order of columns."""

    numbers: Floats  # (columns, rows); NaN is missing
    texts: Sequence[Texts]  # classes and categories
    flags: Mapping[int, Flags] = {}  # by row, where the slow path set any
    integers: Sequence[Sequence[int | None]] = ()
    lists: Sequence[bytes | None] = ()  # rankings or gains, as bytes; empty where the model does not rank
    service: Floats | None = None  # (2, rows): latency in ms, NaN unknown; 1 failed, 0 not. None: no row tells either

    def part(self, start: int, stop: int) -> Content:
        """Return some of the rows."""
        flags = {row - start: found for row, found in self.flags.items() if start <= row < stop}
        return Content(
            self.numbers[:, start:stop],
            [column.part(start, stop) for column in self.texts],
            flags,
            [column[start:stop] for column in self.integers],
            self.lists[start:stop],
            None if self.service is None else self.service[:, start:stop],
        )


class Decoded(NamedTuple):
    """Events of one model."""

    requests: Sequence[str]
    versions: Sequence[str]  # empty texts for labels
    ts_ms: Times  # NO_TIME: the Kafka timestamp
    content: Content


@dataclass(slots=True, eq=False)
class Rows:
    """Rows of one log, in order, with their identities, times and places in it."""

    source: TopicPartition
    identities: bytes  # ID_BYTES each
    ts_ms: Times
    offsets: Sequence[int]
    log_ts_ms: Times  # the records' own timestamps
    sizes: Sequence[int]  # bytes of payload
    content: Content

    def __len__(self) -> int:
        return len(self.offsets)

    def part(self, start: int, stop: int) -> Rows:
        """Return some of the rows."""
        if start <= 0 and stop >= len(self):
            return self
        return Rows(
            self.source,
            self.identities[start * ID_BYTES : stop * ID_BYTES],
            self.ts_ms[start:stop],
            self.offsets[start:stop],
            self.log_ts_ms[start:stop],
            self.sizes[start:stop],
            self.content.part(start, stop),
        )


def cut(parts: Sequence[Rows], start: int, stop: int) -> list[Rows]:
    """Return the rows from `start` to `stop` of all parts together."""
    found: list[Rows] = []
    first = 0
    for rows in parts:
        if first < stop and first + len(rows) > start:
            found.append(rows.part(max(start - first, 0), stop - first))
        first += len(rows)
    return found


def joined_flags(parts: Sequence[Rows]) -> Mapping[int, Flags]:
    """Return the flags of all parts together, by row."""
    flags: dict[int, Flags] = {}
    first = 0
    for rows in parts:
        flags |= {first + row: found for row, found in rows.content.flags.items()}
        first += len(rows)
    return flags


def numbers_of(columns: Sequence[Sequence[object]], rows: int) -> Floats:
    """Return columns of numbers and None as float64: (columns, rows); None is NaN, -0.0 is 0.0."""
    try:
        packed = pack(f"{len(columns) * rows}d", *chain.from_iterable(columns))  # twice as fast as NumPy does it
    except error:
        return np.array(columns, dtype=np.float64).reshape(len(columns), rows) + 0.0
    return np.frombuffer(packed).reshape(len(columns), rows) + 0.0
