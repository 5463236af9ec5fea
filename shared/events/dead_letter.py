"""Dead letters: why a record could not be used, and where to find it. The payload stays in its own topic."""

from __future__ import annotations

import hashlib

import msgspec

from shared.log import Outgoing, Record
from shared.topics import Topics
from shared.values import format_ts

# Every code that a refusal may have.
REASONS = (
    "charset",
    "depth",
    "empty",
    "headers",
    "id",
    "json",
    "label",
    "prediction",
    "range",
    "refused",
    "schema",
    "score",
    "shape",
    "size",
    "stale",
    "tombstone",
    "ts",
    "type",
    "undeliverable",
    "unknown_model",
    "utf8",
)


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One refused record; the Kafka key is `topic/partition/offset`, so a second copy replaces the first."""

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    timestamp: str
    digest: str  # BLAKE2b-128 of the payload
    payload_bytes: int
    model: str | None
    service: str


def dead_letter(
    topics: Topics, record: Record, *, service: str, reason: str, detail: str, model: str | None
) -> Outgoing:
    """Return the record for `driftline.dead-letters`."""
    payload = record.value or b""
    letter = DeadLetter(
        reason=reason,
        detail=detail[:200],
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=format_ts(max(record.timestamp_ms, 0)),
        digest=hashlib.blake2b(payload, digest_size=16).hexdigest(),
        payload_bytes=len(payload),
        model=model,
        service=service,
    )
    return Outgoing(
        topic=topics.dead_letters,
        key=f"{record.topic}/{record.partition}/{record.offset}".encode(),
        value=msgspec.json.encode(letter),
    )
