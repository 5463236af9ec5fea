"""What passed through a stage since its process started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.log import Record, TopicPartition
from shared.measures import Measure, number, of_logs

POSITION, LAG = "position", "lag_records"


@dataclass(slots=True)
class Flow:
    """Counted once a poll or a batch, never once a row."""

    records_in: int = 0
    rows_in: int = 0
    blocks_out: int = 0
    rows_out: int = 0
    last_record_ms: int | None = None

    def took(self, records: int, last_ms: int) -> None:
        """Count records that were read; `last_ms`: Kafka's timestamp of the last one."""
        self.records_in += records
        self.last_record_ms = last_ms

    def records(self) -> Iterator[Measure]:
        """Yield what every stage has: the records that it took."""
        yield number("records_in_total", "Records read from the stage's input.", self.records_in)
        yield Measure(
            "last_record_timestamp_seconds",
            "Kafka's timestamp of the record read last.",
            {} if self.last_record_ms is None else {(): self.last_record_ms / 1000},
        )

    def blocks(self) -> Iterator[Measure]:
        """Yield what a stage has that writes blocks."""
        yield number("blocks_out_total", "Blocks written, repeated ones included.", self.blocks_out)
        yield number("rows_out_total", "Rows in the blocks written.", self.rows_out)


@dataclass(slots=True)
class Handled:
    """What a host has fed to its stage; how far the log goes only the host's own client knows."""

    flow: Flow = field(default_factory=Flow)
    next: dict[TopicPartition, int] = field(default_factory=dict)

    def took(self, record: Record) -> None:
        """Count one record."""
        self.flow.took(1, record.timestamp_ms)
        self.next[record.source] = record.offset + 1

    def measures(self) -> Iterator[Measure]:
        """Yield what every stage has."""
        yield from self.flow.records()
        yield position(self.next)


def position(kept: Mapping[TopicPartition, int]) -> Measure:
    """Return where a stage is in its logs."""
    return of_logs(POSITION, "The offset that a restart would read next.", kept)


def positions(kept: Mapping[TopicPartition, int], lag: Mapping[TopicPartition, int]) -> Iterator[Measure]:
    """Yield where a stage is in its logs: what a restart would read next, and how much is not read yet."""
    yield position(kept)
    yield of_logs(LAG, "Records that are in the log and not read yet.", lag)
