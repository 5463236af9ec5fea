"""Rows whose fate a real Kafka has a part in: what its client unpacks, what its records carry beside their value."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Message, Producer

from shared.adapters.kafka.client import Outage, client_settings, consumer_settings
from shared.settings import Settings
from shared.topics import MIB
from tests.hostile.events import DAY_MS
from tests.hostile.table import row_on_kafka
from tests.kit.installation import Installation
from tests.kit.pipeline import monitored, prediction, publications
from tests.kit.probing import Probed, Samples, probed
from tests.kit.service import Service
from tests.kit.waiting import PATIENCE_SECONDS, until

BOMB_MIB = 64
TINY_RECORDS = 100_000
MEMORY_MIB = 512  # half of what the manifests allow the consumer


class Sent(NamedTuple):
    """What a stranger writes; `written_ms` is the record's own time, 0 for now."""

    value: bytes
    partition: int
    headers: tuple[tuple[str, bytes], ...] = ()
    written_ms: int = 0


@contextmanager
def consuming(settings: Settings) -> Iterator[tuple[Service, Probed]]:
    """Run the consumer of predictions, with one model."""
    here = Installation(settings, publications(monitored(loan={})))
    with tempfile.TemporaryDirectory() as folder, probed("prediction_consumer", settings, Path(folder)) as running:
        yield running
    here.close()


def write(settings: Settings, sent: Iterable[Sent]) -> None:
    """Write everything in batches that are as large, and packed as tightly, as a client can make them."""
    failed: list[object] = []

    def delivered(error: object, _: Message) -> None:
        failed.extend([error] if error is not None else [])

    stranger: dict[str, Any] = {
        "message.max.bytes": 1_000_000_000,
        "batch.size": 1_000_000_000,
        "batch.num.messages": 1_000_000,
        "queue.buffering.max.messages": 1_000_000,
        "compression.type": "gzip",
        "linger.ms": 2_000,
    }
    producer = Producer(client_settings(settings.kafka, "stranger", Outage()) | stranger)
    for value, partition, headers, written_ms in sent:
        producer.produce(
            settings.topics.predictions,
            value,
            partition=partition,
            headers=dict(headers),
            timestamp=written_ms,
            on_delivery=delivered,
        )
    assert producer.flush(PATIENCE_SECONDS) == 0
    assert failed == []


def fates(health: Probed, count: int) -> tuple[int, dict[str, int]]:
    """Return the rows and the dead letters, by reason, once there are as many as records."""

    def seen() -> tuple[int, dict[str, int]]:
        samples: Samples = health.samples()
        letters = {reason: int(times) for (reason,), times in samples["dead_letters_total"].items() if times}
        return int(samples["rows_out_total"].get((), 0)), letters

    return until(seen, lambda found: found[0] + sum(found[1].values()) >= count)


def peak_mib(process: Service) -> int:
    """Return the most memory that a process ever had."""
    status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) >> 10


@row_on_kafka(
    14,
    f"a batch of {BOMB_MIB} KiB that expands to {BOMB_MIB} MiB, and one of {TINY_RECORDS:,} small records",
    f"dead letter size, {TINY_RECORDS:,} rows, under {MEMORY_MIB} MiB of memory, 32 MiB ahead",
)
def compressed(settings: Settings) -> str:
    ahead = consumer_settings(settings.kafka, "test", Outage())["queued.max.messages.kbytes"]
    small = msgspec.json.encode(prediction(request_id="r"))
    with consuming(settings) as (process, health):
        write(settings, [Sent(b" " * (BOMB_MIB * MIB), 0)])
        write(settings, [Sent(small, 1)] * TINY_RECORDS)
        rows, letters = fates(health, 1 + TINY_RECORDS)
        peak = peak_mib(process)
    assert peak < MEMORY_MIB, peak
    (reason,) = letters
    return f"dead letter {reason}, {rows:,} rows, under {MEMORY_MIB} MiB of memory, {ahead >> 10} MiB ahead"


@row_on_kafka(
    39,
    "events out of order and very old; records older than the horizon; a header that says `backfill`",
    "4 rows, 2 dead letters stale: the header changes nothing",
)
def old(settings: Settings) -> str:
    backfill = (("backfill", b"true"),)
    days = ("2026-01-01", "2024-11-27", "2025-12-03")
    events = [msgspec.json.encode(prediction(request_id=day, ts=f"{day}T00:00:00Z")) for day in days]
    old_ms = 1_700_000_000_000 - 60 * DAY_MS  # longer ago than any test's horizon
    with consuming(settings) as (_, health):
        write(settings, [Sent(event, 0) for event in events])
        write(settings, [Sent(events[0], 0, backfill)])
        write(settings, [Sent(events[0], 0, headers, old_ms) for headers in ((), backfill)])
        rows, letters = fates(health, 6)
    ((reason, times),) = letters.items()
    return f"{rows} rows, {times} dead letters {reason}: the header changes nothing"
