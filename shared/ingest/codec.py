"""The seam between the shared machinery and one kind of event: bytes to halves, rows to a record batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import pyarrow as pa

from shared.definition import Definition
from shared.ingest.payload import Parsed
from shared.log import Record

Count = Callable[[str, int], None]  # what was seen (a documented code), how often


class Half(msgspec.Struct, frozen=True, gc=False):
    """One event, decoded. `content` is flat, in the codec's own order; `flags` maps its positions to FLAG_ bits."""

    request_id: str
    model_version: str  # empty for labels
    ts_ms: int | None  # None: the Kafka timestamp
    content: tuple[object, ...]
    flags: dict[int, int] | None = None


class Row(msgspec.Struct, frozen=True, gc=False):
    """One half with its identity, its time, and the record it came in."""

    identity: bytes  # 16
    ts_ms: int
    record: Record
    half: Half


class Codec(Protocol):
    """One kind of event of one model under one definition."""

    max_rows: int  # what fits into a block

    def decode(self, payloads: Sequence[bytes]) -> Sequence[Half | None]:
        """Return each event by the typed decoder, or None: let `salvage` say what is wrong with it."""
        ...

    def salvage(self, parsed: Parsed) -> Half:
        """Return what can be used of an event that the typed decoder refused.

        Raises:
            Malformed: nothing can.
        """
        ...

    def batch(self, rows: Sequence[Row], *, log_time: bool) -> pa.RecordBatch:
        """Return the rows as block columns, `log_ts` among them if `log_time`."""
        ...


class CodecFactory(Protocol):
    """What a service brings: a codec for a definition."""

    def __call__(self, definition: Definition, count: Count) -> Codec:
        """Return the codec; it reports what it ignores or finds invalid to `count`."""
        ...
