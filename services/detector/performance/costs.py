"""What a loss costs since its onset, in money of the configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.detector.baseline import Baseline
from services.detector.performance.metrics.costs import cost_of
from services.detector.signals.monitored import ERROR, FALSE_NEGATIVE, FALSE_POSITIVE
from services.detector.statistics.proportions import Z95
from shared.cost import CostSpec
from shared.durations import UNITS_MS
from shared.events.alert import LossCost

if TYPE_CHECKING:
    from services.detector.performance.recent_labels import (
        RecentLabels,  # of kernels, which whoever publishes needs not
    )


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of a model with what a labelled prediction of its reference cost."""

    spec: CostSpec
    reference: float
    reference_error: float  # its standard error

    @classmethod
    def of(cls, spec: CostSpec | None, baseline: Baseline) -> Prices | None:
        """Return them; None without prices, or without a reference that has labels."""
        if spec is None or baseline.performance is None:
            return None
        errors = {monitor.name: round(monitor.rate * monitor.rows) for monitor in baseline.performance.monitors}
        found = cost_of(spec, errors[FALSE_NEGATIVE], errors[FALSE_POSITIVE], baseline.performance.rows)
        return cls(spec, found.value or 0.0, found.error or 0.0)

    def since(self, recent: RecentLabels, label: int, series: list[str], row: int) -> LossCost | None:
        """Return what predictions from a row on cost more a day than the reference's; None where nothing tells.

        label: up to which kept label is looked.
        """
        values, rows, times = recent.since(label, row)
        span = int(times.max() - times.min()) if len(times) else 0
        if span <= 0:
            return None
        labels = int((~np.isnan(values[:, series.index(ERROR)])).sum())
        flags = (values[:, series.index(name)] == 1.0 for name in (FALSE_NEGATIVE, FALSE_POSITIVE))
        misses, alarms = (int(flag.sum()) for flag in flags)
        found = cost_of(self.spec, misses, alarms, labels)
        if found.value is None:
            return None
        a_day = float(rows.max() - rows.min()) * UNITS_MS["d"] / span
        more, half = found.value - self.reference, Z95 * math.hypot(found.error or 0.0, self.reference_error)
        low, high = ((more + side) * a_day for side in (-half, half))
        return LossCost(
            per_day=more * a_day,
            low=low,
            high=high,
            predictions_per_day=a_day,
            labels=labels,
            false_negatives=misses,
            false_positives=alarms,
            reference=self.reference,
        )
