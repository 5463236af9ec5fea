"""The seam between the shared machinery and one kind of event: bytes to columns, columns to a record batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Protocol

import pyarrow as pa

from shared.definition import Definition
from shared.ingest.payload import Parsed
from shared.ingest.rows import Decoded, Rows

Count = Callable[[str, int], None]  # what was seen (a documented code), how often


class Codec(Protocol):
    """One kind of event of one model under one definition."""

    max_rows: int  # what fits into a block

    def decode(self, payloads: Sequence[bytes]) -> Decoded | None:
        """Return the events by the typed decoder, or None if it refuses any of them.

        One that it refuses alone is for `salvage`, which says what is wrong with it.
        """
        ...

    def salvage(self, parsed: Parsed) -> Decoded:
        """Return what can be used of an event that the typed decoder refused.

        Raises:
            Malformed: nothing can.
        """
        ...

    def unknown_features(self) -> Set[str]:
        """Return the names of features that nobody asked for and that came since the last call: not very many.

        The empty name stands for all that are not kept.
        """
        ...

    def batch(self, parts: Sequence[Rows], *, log_time: bool) -> pa.RecordBatch:
        """Return the rows as block columns, `log_ts` among them if `log_time`."""
        ...


class CodecFactory(Protocol):
    """What a service brings: a codec for a definition."""

    def __call__(self, definition: Definition, count: Count) -> Codec:
        """Return the codec; it reports what it ignores or finds invalid to `count`."""
        ...
