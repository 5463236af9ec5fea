"""What the service did of the newest cohorts of all traffic, beside what their labels say."""

from __future__ import annotations

import msgspec
import numpy as np
from msgspec.structs import replace

from services.detector.baseline import ALL
from services.detector.performance.metrics.value import Metrics, Value
from services.detector.report import CohortRow
from services.detector.serving.sketch import BINS, counts_of, quantile_ms
from services.detector.statistics.proportions import wilson
from services.detector.structs import FloatArray

MOST_COHORTS = 4_096  # the oldest give way
QUANTILES = {"latency_p50_ms": 0.5, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}
ERROR_RATE = "service_error_rate"


class Counted(msgspec.Struct, array_like=True):
    """A cohort: its rows since the service is told of, failures, and quantiles of latencies in the order of names."""

    rows: int = 0
    failed: int = 0
    latencies_ms: list[float | None] = []


class CohortService(msgspec.Struct):
    """Cohorts by their number; of the newest the latencies themselves."""

    size: int  # rows of a cohort
    known: dict[int, Counted] = {}
    newest: int = -1
    latencies: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, latencies_ms: FloatArray, failed: FloatArray, first_row: int) -> None:
        """Count served rows, the first of which is the model's row `first_row`."""
        start = 0
        while start < len(failed):
            number = (first_row + start) // self.size
            stop = min((number + 1) * self.size - first_row, len(failed))
            if number != self.newest:
                self.newest, self.latencies = number, np.zeros(BINS, np.int64)
                self.known[number] = Counted()
                self.known.pop(number - MOST_COHORTS, None)
            counted = self.known[number]
            counted.rows += stop - start
            counted.failed += int(failed[start:stop].sum())
            self.latencies = self.latencies + counts_of(latencies_ms[start:stop])
            counted.latencies_ms = [quantile_ms(self.latencies, share) for share in QUANTILES.values()]
            start = stop

    def with_service(self, row: CohortRow) -> CohortRow:
        """Return a cohort with what its service did; that is known of all traffic."""
        counted = self.known.get(row.cohort_start_row // self.size) if row.segment == ALL else None
        if counted is None:
            return row
        found: Metrics = {ERROR_RATE: Value(counted.failed / counted.rows, *wilson(counted.failed, counted.rows))}
        waited = zip(QUANTILES, counted.latencies_ms, strict=True)
        found |= {name: Value(latency) for name, latency in waited if latency is not None}
        return replace(row, metrics=row.metrics | found)
