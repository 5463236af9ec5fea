"""What was decided and what came of it: the fold of the `retraining` topic, this service's own memory.

A decision is written here before anything is sent, so a request without an outcome is one to send again, and an alert
below the highest consumed offset of its partition is one that was already considered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from services.retrain_trigger.policy import Standing
from shared.errors import Malformed
from shared.events.cloudevent import CONTENT_TYPE
from shared.events.retraining import Retraining, RetrainingEvent, RetrainingState
from shared.identity import model_partition
from shared.log import Outgoing
from shared.topics import Topics
from shared.unreadable import UNREADABLE
from shared.values import parse_ts

# Per model, of requests and of holds each. Older ones are forgotten: the alerts that caused them are long out of
# retention at any sane rate, so no repeat of theirs can come.
KEPT = 1_000

_NOT_STANDING = frozenset({RetrainingState.HELD, RetrainingState.FAILED, RetrainingState.REJECTED})


@dataclass(slots=True)
class _Page:
    """One model's decisions by effect id, oldest first."""

    requests: dict[str, Retraining] = field(default_factory=dict)
    holds: dict[str, None] = field(default_factory=dict)
    watched_since: str | None = None


class Ledger:
    """The latest state of every decision of some partitions."""

    def __init__(self) -> None:
        self._pages: dict[str, _Page] = {}
        self._positions: dict[int, int] = {}

    def absorb(self, entry: Retraining) -> None:
        """Take one record; a later one of the same effect replaces the former."""
        page = self._pages.setdefault(entry.model, _Page())
        if entry.state is RetrainingState.HELD:
            page.holds[entry.effect_id] = None
            _trim(page.holds)
        else:
            page.requests[entry.effect_id] = entry
            _trim(page.requests)
        page.watched_since = entry.watched_since or page.watched_since
        consumed = self._positions.get(entry.alerts_partition, 0)
        self._positions[entry.alerts_partition] = max(consumed, entry.alerts_offset + 1)

    def position(self, partition: int) -> int:
        """Return the first offset of an alerts partition that no decision has consumed."""
        return self._positions.get(partition, 0)

    @property
    def largest_page(self) -> int:
        """Return how many decisions of one kind the ledger keeps of the model of which it keeps most."""
        return max((max(len(page.requests), len(page.holds)) for page in self._pages.values()), default=0)

    def knows(self, model: str, effect_id: str) -> bool:
        """Return whether this decision was written before, whatever became of it."""
        page = self._pages.get(model)
        return page is not None and (effect_id in page.requests or effect_id in page.holds)

    def standing(self, model: str) -> Standing:
        """Return the requests of a model that count against another one."""
        page = self._pages.get(model)
        requests = [e for e in page.requests.values() if e.state not in _NOT_STANDING] if page else []
        return Standing(
            requested_at_ms=max((parse_ts(e.decided_at) for e in requests), default=None),
            incidents=frozenset(e.incident_id for e in requests if e.incident_id is not None),
        )

    def watched_since_ms(self, model: str) -> int | None:
        """Return the model's first heartbeat as a decision recorded it; it outlives the alerts' retention."""
        page = self._pages.get(model)
        return parse_ts(page.watched_since) if page and page.watched_since else None

    def unanswered(self) -> Iterator[Retraining]:
        """Return the requests without an outcome, each model's oldest first."""
        for page in self._pages.values():
            yield from (e for e in page.requests.values() if e.state is RetrainingState.REQUESTED)


def encode_entry(entry: Retraining, *, source: str, time: str) -> bytes:
    """Return the CloudEvent of a decision or an outcome; its id is the effect and its state."""
    return msgspec.json.encode(
        RetrainingEvent(
            id=f"{entry.effect_id}.{entry.state}",
            source=source,
            type=f"driftline.retraining.{entry.state}",
            subject=entry.model,
            time=time,
            data=entry,
        )
    )


def decode_entry(value: bytes) -> Retraining:
    """Return the data of a `retraining` record.

    Raises:
        Malformed: `schema`; orchestrators write here too.
    """
    try:
        entry = msgspec.json.decode(value, type=RetrainingEvent).data
    except UNREADABLE as exc:
        raise Malformed("schema", str(exc)) from exc
    for text in (entry.decided_at, entry.watched_since):
        if text is not None:
            parse_ts(text)
    return entry


def ledger_record(topics: Topics, entry: Retraining, *, source: str, time: str) -> Outgoing:
    """Return the record: keyed by effect, on the partition with the number of the model's alerts partition."""
    return Outgoing(
        topic=topics.retraining,
        key=entry.effect_id.encode(),
        value=encode_entry(entry, source=source, time=time),
        partition=model_partition(entry.model, topics.alerts_partitions),
        headers=CONTENT_TYPE,
    )


def _trim(entries: dict[str, Retraining] | dict[str, None]) -> None:
    while len(entries) > KEPT:
        del entries[next(iter(entries))]
