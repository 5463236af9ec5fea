"""Records of the product's topics as lines of JSON that people and `jq` read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from shared.errors import ConfigurationError
from shared.events.block import ID, TS, Block, decode
from shared.log import Record
from shared.topics import Topics
from shared.values import format_ts


@dataclass(frozen=True, slots=True)
class Sought:
    """A request, as blocks know it."""

    identities: frozenset[bytes]  # one per model
    id_key: str  # fingerprint of the key that made them


class TailTopic(StrEnum):
    """What `driftline tail` can show."""

    OBSERVATIONS = "observations"
    ALERTS = "alerts"
    RETRAINING = "retraining"
    DEAD_LETTERS = "dead-letters"
    HALVES = "halves"

    @property
    def has_rows(self) -> bool:
        """Return whether its records are blocks, which `--request-id` can look into."""
        return self in (TailTopic.OBSERVATIONS, TailTopic.HALVES)

    def named(self, topics: Topics) -> str:
        """Return the topic's full name."""
        match self:
            case TailTopic.OBSERVATIONS:
                return topics.observations
            case TailTopic.ALERTS:
                return topics.alerts
            case TailTopic.RETRAINING:
                return topics.retraining
            case TailTopic.DEAD_LETTERS:
                return topics.dead_letters
            case TailTopic.HALVES:
                return topics.halves


def lines(topic: TailTopic, sought: Sought | None) -> Callable[[Record], Iterator[bytes]]:
    """Return what turns a record into lines: a block's headers, or its rows of one request; an event as it is.

    The lines raise Corrupt for a block that does not read back, and ConfigurationError for one whose identities were
    made with another key.
    """
    if not topic.has_rows:
        return _event
    if sought is None:
        return _block
    return lambda record: _rows(record, sought)


def _event(record: Record) -> Iterator[bytes]:
    if record.value is not None:
        yield record.value


def _block(record: Record) -> Iterator[bytes]:
    yield msgspec.json.encode(_head(record, decode(record)))


def _rows(record: Record, sought: Sought) -> Iterator[bytes]:
    block = decode(record)
    if block.batch is None:
        return
    if block.stamp.id_key != sought.id_key:
        raise ConfigurationError("DRIFTLINE_ID_KEY", f"is not the key that {record.topic} was written with")
    matching = [row for row, found in enumerate(block.batch.column(ID).to_pylist()) if found in sought.identities]
    for row in matching:
        (columns,) = block.batch.slice(row, 1).to_pylist()
        readable = {name: _readable(name, value) for name, value in columns.items()}
        yield msgspec.json.encode({**_head(record, block), "row": row, **readable})


def _head(record: Record, block: Block) -> dict[str, object]:
    head: dict[str, object] = {
        "kind": block.kind,
        "model": block.model,
        "model_version": block.model_version,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "log_time": format_ts(record.timestamp_ms),
        "configuration_version": block.stamp.config_version,
        "rows": block.rows,
    }
    if block.halt is not None:
        head["halt"] = block.halt
    if block.news is not None:
        head["news"] = block.news
    if block.chain is not None:
        head |= {"shard": block.chain.shard, "seq": block.chain.seq, "prev": block.chain.prev}
    return head


def _readable(name: str, value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if name in _TIMES and isinstance(value, int):
        return format_ts(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None  # a missing number is NaN in a block
    return value


_TIMES = frozenset({TS, "label_ts"})
