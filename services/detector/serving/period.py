"""What the service did in some hours of stream time."""

from __future__ import annotations

import msgspec
import numpy as np

from services.detector.serving.sketch import BINS, counts_of, quantile_ms
from services.detector.structs import FloatArray
from shared.durations import UNITS_MS
from shared.values import format_ts

HOUR_MS = UNITS_MS["h"]


class ServingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A period as it is published. Latencies are in milliseconds, None where no prediction told its own."""

    model: str
    model_version: str
    start: str
    hours: int
    n: int
    n_failed: int
    n_latencies: int
    error_rate: float
    rows_per_hour: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None


class Period(msgspec.Struct):
    """Rows from an hour on."""

    hour: int  # since 1970, of stream time
    first_row: int
    rows: int = 0
    failed: int = 0
    latencies: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, latencies_ms: FloatArray, failed: FloatArray) -> None:
        """Count rows; latencies_ms: [rows], NaN unknown; failed: [rows], 1 or 0."""
        self.rows += len(failed)
        self.failed += int(failed.sum())
        self.latencies = self.latencies + counts_of(latencies_ms)

    def merge(self, other: Period) -> None:
        """Count the rows of a later period."""
        self.rows += other.rows
        self.failed += other.failed
        self.latencies = self.latencies + other.latencies

    @property
    def p95_ms(self) -> float | None:
        """Return the 95th percentile of latencies."""
        return quantile_ms(self.latencies, 0.95)

    @property
    def error_rate(self) -> float:
        """Return the share of predictions that failed."""
        return self.failed / max(self.rows, 1)

    def row(self, model: str, version: str, until_hour: int) -> ServingRow:
        """Return the period as it is published, when it ended with the hour before another."""
        hours = max(until_hour - self.hour, 1)
        return ServingRow(
            model=model,
            model_version=version,
            start=format_ts(self.hour * HOUR_MS),
            hours=hours,
            n=self.rows,
            n_failed=self.failed,
            n_latencies=int(self.latencies.sum()),
            error_rate=self.error_rate,
            rows_per_hour=self.rows / hours,
            latency_p50_ms=quantile_ms(self.latencies, 0.5),
            latency_p95_ms=self.p95_ms,
            latency_p99_ms=quantile_ms(self.latencies, 0.99),
        )
