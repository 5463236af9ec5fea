"""One dead letter, and what is left of the record that it is about."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from services.cli.dead_letters.raw import is_refused, raw_records
from services.cli.dead_letters.selection import Letter
from shared.events.dead_letter import DeadLetter
from shared.log import Reader
from shared.values import format_ts

MAX_SHOWN_BYTES = 256 * 1024


class Shown(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`record`: kept, gone, or replaced by another one at its coordinates. `payload` only where it was asked for."""

    letter: DeadLetter
    refused: str
    record: str
    payload: str | None = None

    def lines(self) -> Iterator[str]:
        """Yield a line for each field; the payload is one line whatever it holds."""
        letter = self.letter
        fields = {
            "coordinates": f"{letter.topic}/{letter.partition}/{letter.offset}",
            "reason": letter.reason,
            "detail": letter.detail or "-",
            "model": letter.model or "-",
            "service": letter.service,
            "written": letter.timestamp,
            "refused": self.refused,
            "digest": letter.digest,
            "bytes": f"{letter.payload_bytes:,}",
            "record": self.record,
        }
        for name, value in fields.items():
            yield f"{name:<12} {value}"
        if self.payload is not None:
            yield f"{'payload':<12} {self.payload}"


def shown(reader: Reader, letter: Letter, *, with_payload: bool) -> Shown:
    """Return a letter with the state of its record; `payload` is escaped, so that it cannot move a terminal."""
    (record, *_) = [*raw_records(reader, letter.coordinates.source, [letter.content.offset]), None]
    found = Shown(letter=letter.content, refused=format_ts(letter.refused_ms), record="gone")
    if record is None:
        return found
    if not is_refused(letter.content, record):
        found.record = "replaced"
        return found
    found.record = "kept"
    if with_payload:
        found.payload = ascii((record.value or b"")[:MAX_SHOWN_BYTES].decode(errors="backslashreplace"))[1:-1]
    return found
